package daemon

import (
	"context"
	"slices"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// heedEvery is how often a runtime is asked what is wrong with what it runs
// on: who looks at a status wants to know that it is not the present.
const heedEvery = time.Second

// heed tells of such trouble until the function that is returned is called.
// With the link, its trouble is over: then it is the link that is lost.
func (d *Daemon) heed(ctx context.Context, l *link) (end func()) {
	if !slices.Contains(l.description.Capabilities, runtime.CapabilityTrouble) {
		return func() {}
	}
	watching, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { // ends with the link
		defer close(done)
		told := ""
		for watching.Err() == nil {
			now, err := l.Describe(watching, runtime.ContractVersion)
			if err == nil && now.Trouble != told {
				told = now.Trouble
				_ = d.tell(watching, message{trouble: &now.Trouble}) // fails when nobody is left to know
			}
			select {
			case <-time.After(heedEvery):
			case <-watching.Done():
			}
		}
	}()
	return func() {
		cancel()
		<-done
		_ = d.tell(ctx, message{trouble: new(string)})
	}
}
