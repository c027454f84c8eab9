package gateway

import (
	"context"
	"errors"
	"net"
	"time"
)

// refusal is why a caller is not served, in words for the caller.
type refusal struct {
	reason string
	after  time.Duration // when trying again may help
}

func (r *refusal) Error() string { return r.reason }

// patience is how long one caller waits, over all the routes it waits for.
type patience struct {
	server  *Server
	service *service
	// away says whether the caller has gone where ctx cannot know: nobody reads
	// from a connection whose request's body is not wanted yet. nil: ctx knows.
	away  func() bool
	timer *time.Timer
	look  *time.Ticker
}

// lookEvery is how often away is asked.
const lookEvery = time.Second

func (p *patience) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
	if p.look != nil {
		p.look.Stop()
	}
}

// wait parks a caller until r is not the route any more, or again is closed.
// Its error is a *refusal, or that the caller has gone.
func (p *patience) wait(ctx context.Context, r *route, again <-chan struct{}) error {
	if r.entry.State == Down {
		return &refusal{reason: r.entry.reason()}
	}
	s := p.server
	if s.waiting.Add(1) > int64(s.limits.Parked) {
		s.waiting.Add(-1)
		return &refusal{reason: "too many callers wait for " + p.service.id + " and others: " + r.entry.reason(), after: time.Second}
	}
	defer s.waiting.Add(-1)
	if p.service.parked.Add(1) == 1 {
		s.reports.touch(p.service)
	}
	defer func() {
		if p.service.parked.Add(-1) == 0 {
			s.reports.touch(p.service)
		}
	}()
	return p.sit(ctx, r, again)
}

// unheard is for who has waited in vain while nobody was told.
const unheard = "no daemon runs, and it is the daemon that starts services for their callers; start it with: stead daemon run"

// sit does the waiting. The time counts from the first wait on.
func (p *patience) sit(ctx context.Context, r *route, again <-chan struct{}) error {
	if p.timer == nil {
		p.timer = time.NewTimer(r.entry.park())
	}
	var look <-chan time.Time
	if p.away != nil {
		if p.look == nil {
			p.look = time.NewTicker(lookEvery)
		}
		look = p.look.C
	}
	for {
		select {
		case <-r.superseded:
			return nil
		case <-again:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-p.server.ending:
			return &refusal{reason: "the gateway ends", after: time.Second}
		case <-p.timer.C:
			reason := r.entry.reason()
			if !p.server.reports.heard() {
				reason += "\n" + unheard
			}
			return &refusal{reason: reason, after: time.Second}
		case <-look:
			if p.away() {
				return errAway
			}
		}
	}
}

var errAway = errors.New("the caller has gone")

// reason returns what a caller who is not served is told.
func (s *Service) reason() string {
	switch {
	case s.Reason != "":
		return s.Reason
	case s.State == Serving:
		return "nobody listens at the endpoint of " + s.ID
	case s.State == Held:
		return s.ID + " is not ready"
	}
	return s.ID + " is down"
}

const (
	probeFirst = 5 * time.Millisecond
	probeMost  = 250 * time.Millisecond
)

// await returns a channel that is closed when one of the replicas may answer
// again. One goroutine asks for all callers that found nobody listening: a
// process that was restarted at the same address is noticed without a word
// from the daemon, and ten thousand callers do not dial in turn.
func (p *replicas) await(s *service, r *route) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.again != nil {
		return p.again
	}
	again := make(chan struct{})
	if s.server.spawn(func() { // until something answers, r is superseded, or the server ends
		p.search(s, r)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.again = nil
		close(again)
	}) {
		p.again = again
	}
	return again
}

// search returns when an endpoint accepts, or nobody waits.
func (p *replicas) search(s *service, r *route) {
	delay := probeFirst
	timer := time.NewTimer(delay)
	defer timer.Stop()
	for {
		select {
		case <-r.superseded:
			return
		case <-s.server.ending:
			return
		case <-timer.C:
		}
		if p.answers() || s.parked.Load() == 0 {
			return
		}
		delay = min(2*delay, probeMost)
		timer.Reset(delay)
	}
}

// answers dials each endpoint, and lets those that accept have callers again.
func (p *replicas) answers() bool {
	found := false
	for _, e := range p.all {
		c, err := net.DialTimeout("tcp", e.address, time.Second)
		if err != nil {
			continue
		}
		_ = c.Close()
		e.recover()
		found = true
	}
	return found
}
