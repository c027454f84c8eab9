package main

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// saves shows, while logs are followed, what came of each save: one line, or
// one for each service that it did no good. It belongs to one goroutine.
type saves struct {
	say       func(lines string)
	paint     paint
	arrow     string
	directory string // paths are shown as seen from it
	known     map[string]saveSeen
	notes     []string
	begun     bool // the present was taken in, whose saves are of the past
}

// saveSeen is what was shown of a service.
type saveSeen struct {
	generation uint64    // of the last reload that was shown
	unquoted   bool      // it failed, and where in its source was not known yet
	signalled  time.Time // when it was last told of a save by a signal
}

func (c *cli) newSaves(out *wholeLines) *saves {
	s := &saves{say: out.say, paint: c.paint(c.out), arrow: c.arrow(), known: map[string]saveSeen{}}
	s.directory, _ = os.Getwd() // without it paths stay absolute
	return s
}

// arrow is plain where nobody knows what shows it.
func (c *cli) arrow() string {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	if _, ok := terminal(c.out); ok && (strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")) {
		return "→"
	}
	return "->"
}

// update shows what is new.
func (s *saves) update(keys []string, seen map[string]*steadpb.Service, notes []string) {
	if !s.begun {
		s.begun, s.notes = true, notes
		for _, key := range keys {
			if r := seen[key].GetReload(); r.GetOutcome() != "" {
				s.known[key] = saveSeen{generation: r.Generation, signalled: instant(r.Ended)}
			}
		}
	}
	for _, note := range notes {
		if !slices.Contains(s.notes, note) {
			s.line(time.Now(), note, "")
		}
	}
	s.notes = notes
	for _, key := range keys {
		if service := seen[key]; service != nil {
			s.look(key, service, keys, seen)
		}
	}
}

// look shows what came of a service's last reload, when it is over.
func (s *saves) look(key string, service *steadpb.Service, keys []string, seen map[string]*steadpb.Service) {
	r, known := service.Reload, s.known[key]
	switch {
	case r == nil:
	case r.Outcome == "signalled":
		if at := instant(r.Ended); !at.Equal(known.signalled) {
			s.line(at, s.what(r, service.Name), s.paint.in(green, r.Cause))
			s.known[key] = saveSeen{generation: r.Generation, signalled: at}
		}
	case known.generation >= r.Generation:
		if known.unquoted && s.quote(service) {
			s.known[key] = saveSeen{generation: r.Generation}
		}
	case r.Outcome == "failed":
		s.line(instant(r.Ended), s.what(r, service.Name), s.paint.in(red, r.Cause))
		s.known[key] = saveSeen{generation: r.Generation, unquoted: !s.quote(service)}
	case r.Outcome == "dropped":
		s.known[key] = saveSeen{generation: r.Generation}
	case r.Outcome != "":
		s.together(r, keys, seen)
	}
}

// together shows the services that one save has reloaded well, when all are
// there that it reloads.
func (s *saves) together(r *steadpb.Reload, keys []string, seen map[string]*steadpb.Service) {
	var names, done []string
	var built, ready time.Duration
	last := instant(r.Ended)
	for _, key := range keys {
		other := seen[key].GetReload()
		if other == nil || !instant(other.Began).Equal(instant(r.Began)) || other.Trigger != r.Trigger {
			continue
		}
		switch other.Outcome {
		case "":
			return
		case "ready":
			names, done = append(names, seen[key].Name), append(done, key)
			if other.Built != nil {
				built = max(built, instant(other.Built).Sub(instant(other.Began)))
			}
			ready = max(ready, instant(other.Ended).Sub(instant(other.Began)))
			last = later(last, instant(other.Ended))
		}
	}
	text := "ready " + duration(ready)
	if built > 0 {
		text = "built " + duration(built) + "  " + text
	}
	s.line(last, s.what(r, strings.Join(names, ", ")), s.paint.in(green, text))
	for _, key := range done {
		s.known[key] = saveSeen{generation: seen[key].Reload.Generation}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// what says which file made which services anew.
func (s *saves) what(r *steadpb.Reload, services string) string {
	return strings.TrimSuffix(r.Trigger, " changed") + " " + s.arrow + " " + services
}

func (s *saves) line(at time.Time, what, outcome string) {
	parts := words([]string{s.paint.in(dim, at.Local().Format(time.TimeOnly)), oneLine(what), oneLineOf(outcome, bool(s.paint))})
	s.say(strings.Join(parts, "  ") + "\n")
}

// quote shows the first error in the source of what has failed, and reports
// whether there is one. Its place is in the cause of a build already.
func (s *saves) quote(service *steadpb.Service) bool {
	for _, m := range service.Diagnostics {
		d := ipc.Diagnostic(m)
		if d.Generation != service.Reload.Generation || d.Severity != runtime.SeverityError {
			continue
		}
		text, _, _ := strings.Cut(d.Text, "\n")
		d.File = shorter(s.directory, d.File)
		quoted := excerpt(oneLine(d.Source), d.Column, d.EndColumn)
		if !strings.Contains(service.Reload.Cause, text) {
			quoted = fmt.Sprintf("    %s: %s\n", oneLine(d.Position()), oneLine(text)) + quoted
		}
		s.say(quoted)
		return true
	}
	return false
}

// oneLine is text that others wrote, fit for a terminal.
func oneLine(text string) string { return oneLineOf(text, false) }

func oneLineOf(text string, colors bool) string {
	first, _, _ := strings.Cut(text, "\n")
	return forTerminal([]byte(first), colors)
}
