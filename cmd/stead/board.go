package main

import (
	"slices"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// verdict says where a service stands with respect to what was asked.
type verdict int

const (
	moving verdict = iota // not there yet
	good                  // there
	bad                   // it will not get there by itself
)

// judge gives the verdict on a service; nil is one that is gone.
type judge func(*steadpb.Service) verdict

// board is what is known of the services that a request is about. It belongs
// to one goroutine.
type board struct {
	keys    []string // "project/name", in the order shown
	several bool     // of more than one project
	judge   judge
	asked   time.Time                   // when the request was made
	seen    map[string]*steadpb.Service // everything that Watch has sent
	began   map[string]time.Time        // when a service began to start or stop
	synced  bool                        // the present was received
}

func newBoard(keys []string, asked time.Time, judge judge) *board {
	b := &board{keys: keys, asked: asked, judge: judge, seen: map[string]*steadpb.Service{}, began: map[string]time.Time{}}
	for _, key := range keys {
		b.several = b.several || project(key) != project(keys[0])
	}
	return b
}

func project(key string) string {
	name, _, _ := strings.Cut(key, "/")
	return name
}

// update takes in what Watch sent.
func (b *board) update(answer *steadpb.StatusResponse) {
	b.synced = true
	merge(b.seen, answer)
	for _, s := range answer.Services {
		key := s.Project + "/" + s.Name
		if _, begun := b.began[key]; !begun && s.Phase != "pending" {
			b.began[key] = b.beginning(s)
		}
	}
}

// beginning is when s left rest. One that is seen in a later phase first, as
// it was quicker than the report, began when it was asked to.
func (b *board) beginning(s *steadpb.Service) time.Time {
	since := instant(s.Since)
	switch s.Phase {
	case "building", "starting", "stopping", "draining":
		if since.After(b.asked) {
			return since
		}
	}
	return b.asked
}

// elapsed is how long s has taken to get where it is, or takes by now. It is
// 0 for one that was there before it was asked to.
func (b *board) elapsed(s *steadpb.Service, now time.Time) time.Duration {
	began, begun := b.began[s.Project+"/"+s.Name]
	if !begun {
		return 0
	}
	end := now
	switch s.Phase {
	case "ready", "completed", "failed", "stopped":
		if !replaced(s) {
			end = instant(s.Since)
		}
	}
	return max(0, end.Sub(began))
}

// name is what the service of key is called.
func (b *board) name(key string) string {
	if b.several {
		return key
	}
	return key[strings.IndexByte(key, '/')+1:]
}

// verdicts judges every service. One that waits for a bad one is bad too:
// nothing will move it.
func (b *board) verdicts() map[string]verdict {
	all := make(map[string]verdict, len(b.keys))
	for _, key := range b.keys {
		all[key] = b.judge(b.seen[key])
	}
	for changed := true; changed; {
		changed = false
		for _, key := range b.keys {
			s := b.seen[key]
			if all[key] == moving && s != nil && s.Phase == "pending" && slices.ContainsFunc(s.WaitsFor, func(name string) bool {
				return all[s.Project+"/"+name] == bad
			}) {
				all[key], changed = bad, true
			}
		}
	}
	return all
}

// settled reports whether nothing moves any more.
func (b *board) settled() bool {
	if !b.synced {
		return false
	}
	for _, v := range b.verdicts() {
		if v == moving {
			return false
		}
	}
	return true
}

// all returns the keys with verdict v, in the order shown.
func (b *board) all(v verdict) []string {
	verdicts := b.verdicts()
	var keys []string
	for _, key := range b.keys {
		if verdicts[key] == v {
			keys = append(keys, key)
		}
	}
	return keys
}

// names are what the services with verdict v are called.
func (b *board) names(v verdict) []string {
	keys := b.all(v)
	for i, key := range keys {
		keys[i] = b.name(key)
	}
	return keys
}
