package daemon

import (
	"math"

	"github.com/stead-dev/stead/runtime"
)

// Noted says which exits have become Events for good: those that this runtime
// reported with a sequence up to this one. A daemon that is killed may not
// have made the runtime forget them, and is followed by one that is told of
// them again.
type Noted struct {
	Runtime  string // nonce
	Sequence uint64
}

// advance notes that e was applied. The present comes in any order, so only
// its end says up to where all is there; changes come one by one after that.
func (dr *draft) advance(e runtime.Event) {
	if e.Kind == runtime.SyncedEvent {
		dr.told = nil
	}
	if e.Kind == runtime.SyncedEvent || e.Sequence == dr.noted.Sequence+1 {
		dr.noted.Sequence = max(dr.noted.Sequence, e.Sequence)
	}
}

// exitKey names an instance by what is in its Event.
type exitKey struct{ project, service, instance string }

func (e Event) exitKey() exitKey { return exitKey{e.Project, e.Service, e.Instance} }

// toldExits returns whose exits are events. A runtime that follows one that
// was killed tells anew what that was not made to forget, and numbers it
// anew. It is read from the disk, as this is rare.
func (d *Daemon) toldExits() map[exitKey]bool {
	events, err := d.store.Events(0, math.MaxInt)
	if err != nil {
		d.log.Warn("exits may be told again", "err", err)
	}
	told := map[exitKey]bool{}
	for _, e := range append(events, d.unsaved.Events...) {
		if e.Kind == EventExit && e.Instance != "" {
			told[e.exitKey()] = true
		}
	}
	return told
}
