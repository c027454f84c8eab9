package image

import (
	"context"
	"sync"
)

// deliveries are the images that are on their way, by reference.
type deliveries struct {
	mu    sync.Mutex
	under map[string]*delivery
}

// delivery is one of them. What it came to is there once done is closed.
type delivery struct {
	done      chan struct{}
	reference string
	err       error
}

// deliver sends an image, unless that very one is being sent for another call:
// then it waits for that, as long as ctx lets it. What another call has not
// brought about, by its own end perhaps, is tried again.
func (p *Packer) deliver(ctx context.Context, m *product, send func(context.Context, *product) (string, error)) (string, error) {
	key := repository(m.id) + "@" + m.digest.String()
	for {
		one, mine := p.sending.join(key)
		if mine {
			one.reference, one.err = send(ctx, m)
			p.sending.leave(key, one)
			return one.reference, one.err
		}
		select {
		case <-one.done:
		case <-ctx.Done():
			return "", context.Cause(ctx)
		}
		if one.err == nil {
			return one.reference, nil
		}
	}
}

// join returns the delivery that is under way, or one that is the caller's.
func (d *deliveries) join(key string) (one *delivery, mine bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if one = d.under[key]; one != nil {
		return one, false
	}
	one = &delivery{done: make(chan struct{})}
	d.under[key] = one
	return one, true
}

func (d *deliveries) leave(key string, one *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.under, key)
	close(one.done)
}
