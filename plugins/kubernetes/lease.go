package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	osuser "os/user"
	"strconv"
	"strings"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"

	"github.com/stead-dev/stead/runtime"
)

// lease is which of a project's runtimes writes: the one that holds the Lease
// stead-PROJECT of the namespace. All others look on. It is taken by the first
// change that is asked for, and kept for as long as somebody watches.
//
// Who holds it is told by an informer, so one that has lost it knows that as
// soon as it could have written something; one that is cut off stops by its own
// clock, before anybody else may take it. Clocks are never compared: a holder
// is dead when its Lease has not changed for leaseTime while we looked.
type lease struct {
	r        *Runtime
	name     string
	identity string
	writing  chan struct{} // of capacity 1, full while the Lease is written
	poke     chan struct{} // holds one: look again

	mu       sync.Mutex
	seen     *coordinationv1.Lease // nil: there is none
	changed  time.Time             // when it became another, by this clock
	until    time.Time             // this runtime may write until then; by the wall clock, which goes on in a machine that sleeps
	drove    bool                  // nobody else has held it since we did
	watchers int
	used     time.Time // when it was last of use
	told     runtime.Driver
	news     chan struct{} // closed, and made anew, when told becomes another
}

const (
	leaseTime  = 15 * time.Second // after that without a word its holder is dead
	fenceTime  = 10 * time.Second // after that without an answer the holder itself writes no more
	renewTime  = 4 * time.Second
	unusedTime = 5 * time.Second // nobody watches: whoever stopped the daemon hands over
)

// annotationLast names who held a Lease that was let go of.
const annotationLast = "stead.dev/last-holder"

func newLease(r *Runtime) *lease {
	return &lease{
		r: r, name: LeaseName(r.project), identity: r.options.Identity, used: r.now(),
		writing: make(chan struct{}, 1), poke: make(chan struct{}, 1), news: make(chan struct{}),
	}
}

// LeaseName is the name of a project's Lease.
func LeaseName(project string) string { return "stead-" + dnsLabel(project, maxLabel-len("stead-")) }

// Identity says who drives, so that a person finds them: user@host, and behind
// a slash what tells the homes of one user apart.
func Identity(home string) string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	who := host
	if u, err := osuser.Current(); err == nil && u.Username != "" {
		who = u.Username + "@" + host
	}
	if home != "" {
		sum := sha256.Sum256([]byte(home))
		who += "/" + hex.EncodeToString(sum[:4])
	}
	return who
}

// person is the part of an identity that is for people.
func person(identity string) string {
	who, _, _ := strings.Cut(identity, "/")
	return who
}

// saw takes note of what the Lease is now. The informer may be behind what was
// just written.
func (l *lease) saw(now *coordinationv1.Lease) {
	if now.Name != l.name {
		return
	}
	l.mu.Lock()
	if l.seen == nil || !older(now.ResourceVersion, l.seen.ResourceVersion) {
		if l.seen == nil || l.seen.ResourceVersion != now.ResourceVersion || now.ResourceVersion == "" {
			l.changed = l.r.now()
		}
		l.seen = now
		switch holder := holderOf(now); holder {
		case l.identity:
			l.drove = true
		case "":
			l.until, l.drove = time.Time{}, now.Annotations[annotationLast] == l.identity
		default:
			l.until, l.drove = time.Time{}, false
		}
	}
	l.mu.Unlock()
	l.look()
}

// gone takes note that there is none any more: a namespace was removed.
func (l *lease) gone(last *coordinationv1.Lease) {
	if last.Name != l.name {
		return
	}
	l.mu.Lock()
	if l.seen != nil && !older(last.ResourceVersion, l.seen.ResourceVersion) {
		l.seen, l.until = nil, time.Time{}
	}
	l.mu.Unlock()
	l.look()
}

// older compares resource versions; those that are no numbers are not old.
func older(a, b string) bool {
	x, errX := strconv.ParseUint(a, 10, 64)
	y, errY := strconv.ParseUint(b, 10, 64)
	return errX == nil && errY == nil && x < y
}

func holderOf(l *coordinationv1.Lease) string {
	if l == nil || l.Spec.HolderIdentity == nil {
		return ""
	}
	return *l.Spec.HolderIdentity
}

// driver is who writes. Self is also true where nobody does, and we were last.
func (l *lease) driver() runtime.Driver {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.driverNow()
}

func (l *lease) driverNow() runtime.Driver {
	holder := holderOf(l.seen)
	switch {
	case holder == l.identity && holder != "", l.drove:
		return runtime.Driver{Self: true, Name: person(l.identity)}
	case holder == "" || l.r.now().Sub(l.changed) > leaseTime:
		return runtime.Driver{}
	}
	d := runtime.Driver{Name: person(holder)}
	if l.seen.Spec.AcquireTime != nil {
		d.Since = l.seen.Spec.AcquireTime.Time
	}
	return d
}

// look tells whoever waits when another drives, and has run look too.
func (l *lease) look() {
	l.mu.Lock()
	now := l.driverNow()
	if now.Self != l.told.Self || now.Name != l.told.Name {
		l.told = now
		close(l.news)
		l.news = make(chan struct{})
	}
	l.mu.Unlock()
	l.r.worker.wake()
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// held reports whether this runtime may write now, and that it is about to.
func (l *lease) held() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.used = l.r.now()
	return l.used.Round(0).Before(l.until)
}

// refused is the error for who may not write; nil where nobody else does.
func (l *lease) refused() error {
	d := l.driver()
	if d.Self || d.Name == "" {
		return nil
	}
	return l.drivenBy(d)
}

func (l *lease) drivenBy(d runtime.Driver) error {
	verb := "stead --env " + l.r.environment
	return refuse(runtime.Conflict,
		fmt.Sprintf("`%s daemon stop` there hands it over; `%s up --take-over` takes it", verb, verb),
		"%s in %s is driven by %s", l.r.project, l.r.environment, d)
}

// watched counts somebody who watches, until the returned function is called.
func (l *lease) watched() (over func()) {
	l.count(+1)
	return func() { l.count(-1) }
}

func (l *lease) count(by int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.watchers += by
	l.used = l.r.now()
}

// while returns a context that ends when another one drives than now, unless
// that is this runtime; the cause says so.
func (l *lease) while(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	over := make(chan struct{})
	l.mu.Lock()
	before, news := l.driverNow(), l.news
	l.mu.Unlock()
	go func() { // ends with ctx, which ends by the returned function at the latest
		defer close(over)
		for {
			select {
			case <-ctx.Done():
				return
			case <-news:
			}
			l.mu.Lock()
			now := l.driverNow()
			news = l.news
			l.mu.Unlock()
			switch {
			case now.Self:
				before = now
			case now.Self != before.Self || now.Name != before.Name:
				cancel(l.another(now))
				return
			}
		}
	}()
	return ctx, func() {
		cancel(nil)
		<-over
	}
}

func (l *lease) another(now runtime.Driver) error {
	return otherDriver(fmt.Sprintf("%s in %s is driven by %s now", l.r.project, l.r.environment, now))
}

// otherDriver ends every Watch; it says who drives now.
type otherDriver string

func (o otherDriver) Error() string { return string(o) }

// Unwrap makes it Unavailable: to watch again works.
func (o otherDriver) Unwrap() error { return runtime.Unavailable }
