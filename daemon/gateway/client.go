package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Client is the daemon's half of a gateway's control API. It holds the table
// that is wanted, and sends it in full whenever it has connected, then what
// changes: one push at a time, which carries everything that has come up since
// the last one, so that a thousand changes at once are few pushes.
//
// Watch does the work: nothing reaches the gateway unless it runs.
type Client struct {
	socket string
	log    *slog.Logger
	wake   chan struct{}

	mu      sync.Mutex // guards what follows
	table   map[string]Service
	dirty   map[string]struct{} // not sent yet
	version uint64              // counts changes
	effect  uint64              // what is below it is in effect; zero: there is no session
	waiters []waiter            // in the order of their versions
}

// waiter waits until a version is in effect.
type waiter struct {
	version uint64
	done    chan struct{}
}

// NewClient returns a client of the gateway that serves the control socket.
func NewClient(socket string, log *slog.Logger) *Client {
	return &Client{
		socket: socket, log: log, wake: make(chan struct{}, 1),
		table: map[string]Service{}, dirty: map[string]struct{}{},
	}
}

// Apply changes the wanted table, and returns when the gateway has brought
// that into effect. When ctx ends before, the change is wanted nevertheless.
// Its errors are runtime.Invalid, where nothing was changed, and ctx's.
func (c *Client) Apply(ctx context.Context, change Change) error {
	if err := change.validate(); err != nil {
		return err
	}
	select {
	case <-c.note(change):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("route through the gateway at %s: %w", c.socket, ctx.Err())
	}
}

// Want is Apply without waiting.
func (c *Client) Want(change Change) error {
	if err := change.validate(); err != nil {
		return err
	}
	c.note(change)
	return nil
}

func (c *Client) note(change Change) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range change.Remove {
		delete(c.table, id)
		c.dirty[id] = struct{}{}
	}
	for _, s := range change.Set {
		c.table[s.ID] = s
		c.dirty[s.ID] = struct{}{}
	}
	c.version++
	w := waiter{c.version, make(chan struct{})}
	c.waiters = append(c.waiters, w)
	poke(c.wake)
	return w.done
}

// Await returns when all that is wanted by now is in effect, or an error when
// ctx ends before.
func (c *Client) Await(ctx context.Context) error {
	c.mu.Lock()
	if c.version < c.effect {
		c.mu.Unlock()
		return nil
	}
	w := waiter{c.version, make(chan struct{})}
	c.waiters = append(c.waiters, w)
	c.mu.Unlock()
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiters = slices.DeleteFunc(c.waiters, func(other waiter) bool { return other.done == w.done })
	return fmt.Errorf("wait for the gateway at %s: %w", c.socket, ctx.Err())
}

const (
	connectFirst = 10 * time.Millisecond
	connectMost  = time.Second
)

// Watch keeps a session with the gateway, and calls fn with its reports, one
// after the other, until ctx ends. It connects again when the gateway has gone
// (and a successor may have come); each time the reports begin anew, with
// Begin, all that holds, and Synced. fn must not wait for Apply.
func (c *Client) Watch(ctx context.Context, fn func(Report)) error {
	t := c.transport(true)
	defer t.CloseIdleConnections()
	pause := connectFirst
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		was := false
		err := c.session(ctx, t, func(r Report) { was = true; fn(r) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if was {
			pause = connectFirst
			c.log.Warn("the gateway's session has ended, connecting again", "err", err)
		}
		timer.Reset(pause)
		pause = min(2*pause, connectMost)
	}
}

// Table asks the gateway what it routes now.
func (c *Client) Table(ctx context.Context) ([]Service, error) {
	t := c.transport(false)
	defer t.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://gateway/v1/table", nil)
	if err != nil {
		return nil, err
	}
	res, err := t.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway at %s for its table: %w: %w", c.socket, err, runtime.Unavailable)
	}
	defer res.Body.Close()
	var table []Service
	if err := json.NewDecoder(res.Body).Decode(&table); err != nil {
		return nil, fmt.Errorf("read the table of the gateway at %s: %w", c.socket, err)
	}
	return table, nil
}

func (c *Client) transport(h2 bool) *http.Transport {
	var p http.Protocols
	p.SetUnencryptedHTTP2(h2)
	p.SetHTTP1(!h2)
	return &http.Transport{Protocols: &p, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", c.socket)
	}}
}

// session is one connection: it returns when that has ended.
func (c *Client) session(ctx context.Context, t http.RoundTripper, fn func(Report)) error {
	defer c.lose()
	ctx, cancel := context.WithCancel(ctx)
	body, out := io.Pipe()
	applied := make(chan uint64, 1)
	var sender sync.WaitGroup
	defer sender.Wait()
	defer cancel()
	sender.Go(func() { // until ctx or the connection ends
		_ = out.CloseWithError(c.send(ctx, json.NewEncoder(out), applied))
	})
	defer func() { _ = body.Close() }() // the sender may be writing
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway/v1/session", body)
	if err != nil {
		return err
	}
	res, err := t.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the gateway answers %s", res.Status)
	}
	return c.read(json.NewDecoder(res.Body), applied, fn)
}

// read takes what the gateway says, until it says no more.
func (c *Client) read(in *json.Decoder, applied chan<- uint64, fn func(Report)) error {
	for {
		var f frame
		if err := in.Decode(&f); err != nil {
			return err
		}
		switch {
		case f.Error != "":
			return errors.New(f.Error)
		case f.Report != nil:
			fn(*f.Report)
		case f.Applied != 0:
			c.release(f.Applied)
			applied <- f.Applied // the sender has asked for it, and waits
		}
	}
}

// send pushes the whole table, then what changes, each when the last push is
// in effect.
func (c *Client) send(ctx context.Context, out *json.Encoder, applied <-chan uint64) error {
	for full := true; ; full = false {
		p, ok := c.pending(full)
		if ok {
			if err := out.Encode(p); err != nil {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-applied:
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-c.wake:
		}
	}
}

// pending takes what has to be sent; false: nothing.
func (c *Client) pending(full bool) (push, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !full && len(c.dirty) == 0 {
		return push{}, false
	}
	p := push{Version: c.version + 1, Full: full} // never zero, and above what has been noted
	if full {
		for _, s := range c.table {
			p.Set = append(p.Set, s)
		}
	} else {
		for id := range c.dirty {
			if s, ok := c.table[id]; ok {
				p.Set = append(p.Set, s)
			} else {
				p.Remove = append(p.Remove, id)
			}
		}
	}
	clear(c.dirty)
	return p, true
}

// release lets those go whose change is in effect.
func (c *Client) release(version uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.effect = version
	n := 0
	for n < len(c.waiters) && c.waiters[n].version < version {
		close(c.waiters[n].done)
		n++
	}
	c.waiters = append(c.waiters[:0], c.waiters[n:]...)
}

// lose notes that nobody knows what is in effect: a gateway that comes next has
// to be told again.
func (c *Client) lose() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.effect = 0
}
