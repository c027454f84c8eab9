package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// failureLines is how much of a failed service's log is shown: the reason is
// nearly always in the last lines.
const failureLines = 10

// explainFailures says why services are not up, and reports whether there
// are any. Those that only wait for a failed one get one line.
func (c *cli) explainFailures(ctx context.Context, client steadpb.DaemonClient, b *board) bool {
	failed := b.all(bad)
	for _, key := range failed {
		s := b.seen[key]
		switch {
		case s == nil:
			c.say("error", b.name(key)+" is not in the manifest any more")
		case s.Phase == "pending" || s.CauseKind == "dependency":
			c.say("error", b.name(key)+" was not started: "+dependencyCause(s))
		case s.Want == "down":
			c.say("error", b.name(key)+" was stopped meanwhile")
		default:
			c.explainFailure(ctx, client, b, s)
		}
	}
	return len(failed) > 0
}

func dependencyCause(s *steadpb.Service) string {
	if s.Cause != "" {
		return s.Cause
	}
	return "it waits for " + strings.Join(s.WaitsFor, ", ")
}

// explainFailure says the cause, the last lines of the log, and one hint: the
// cause and the hint are those of `stead why`.
func (c *cli) explainFailure(ctx context.Context, client steadpb.DaemonClient, b *board, s *steadpb.Service) {
	name := label(s, b.several)
	cause, hint := c.whyFailed(ctx, client, s)
	if s.Phase == "ready" {
		c.say("error", fmt.Sprintf("the new %s is no good, generation %d serves on: %s", name, s.Generation, cause))
	} else {
		c.say("error", name+" failed: "+cause)
	}
	c.lastLines(ctx, client, s, b.asked)
	if strings.Contains(cause, leftBehind) {
		hint = foreground
	}
	c.hint(hint)
}

// whyFailed asks for the one cause. When the service has moved on meanwhile,
// what was seen of it is all there is to say.
func (c *cli) whyFailed(ctx context.Context, client steadpb.DaemonClient, s *steadpb.Service) (cause, hint string) {
	cause, hint = s.Cause, "see everything it wrote: stead logs "+s.Name
	answer, err := client.Why(ctx, &steadpb.WhyRequest{
		Selection: &steadpb.Selection{Project: s.ProjectId, Services: []string{s.Name}},
	})
	if err == nil && answer.Phase == s.Phase && answer.Cause != "" {
		cause, hint = answer.Cause, answer.Hint
	}
	return cmp.Or(cause, "no reason is known"), hint
}

// A service whose first process ends has ended, and what it leaves behind goes
// with it. Programs that put themselves into the background look like that.
const (
	leftBehind = "it left behind"
	foreground = "a service has to stay in the foreground: drop the &, or look for its option (--foreground, daemon off, …)"
)

// sayEnded warns of services that were to go on running, and have ended well.
func (c *cli) sayEnded(b *board) {
	for _, key := range b.all(good) {
		s := b.seen[key]
		if s == nil || s.Phase != "completed" || s.OneShot {
			continue
		}
		how := ""
		for _, i := range s.Instances {
			if i.Exit != "" && !strings.Contains(how, leftBehind) {
				how = ": " + i.Exit
			}
		}
		c.warn("%s", b.name(key)+" has ended"+how)
		if strings.Contains(how, leftBehind) {
			c.hint(foreground)
		}
	}
}

// lastLines shows the end of a service's log. The failure has been said;
// a log that cannot be read is not worth another error.
func (c *cli) lastLines(ctx context.Context, client steadpb.DaemonClient, s *steadpb.Service, since time.Time) {
	var tail strings.Builder
	p := &printer{out: &tail, bare: true}
	_ = c.printLogs(ctx, client, &steadpb.LogsRequest{
		Selection: &steadpb.Selection{Project: s.ProjectId, Services: []string{s.Name}},
		Last:      failureLines,
		Since:     timestamp(since),
	}, p)
	text := strings.TrimRight(tail.String(), "\n")
	if text == "" {
		return
	}
	lines := strings.Split(text, "\n")
	for _, line := range lines[max(0, len(lines)-failureLines):] {
		_, _ = io.WriteString(c.err, "    "+line+"\n") // stderr gone: nobody to tell
	}
}

// sayLate says what was not ready in time, and reports whether err was that.
func (c *cli) sayLate(b *board, limit time.Duration, err error) bool {
	if !errors.Is(err, errTimeout) {
		return false
	}
	c.say("error", fmt.Sprintf("not ready after %s: %s", duration(limit), strings.Join(b.names(moving), ", ")))
	c.hint("they go on starting; look with: stead status")
	return true
}
