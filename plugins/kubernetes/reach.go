package kubernetes

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// How the cluster is asked whether it is there: informers may hang for as long
// as TCP does before they know, and a person who looks should not.
const (
	reachEvery   = 5 * time.Second // while it answers
	reachAgain   = time.Second     // while it does not
	reachLimit   = 3 * time.Second // for an answer
	reachFailed  = 2               // in a row, before anybody is told: an API server that is replaced is away for a moment
	sinceSeconds = "2006-01-02 15:04:05"
)

// reach knows whether the cluster answers. The zero value says that it does.
type reach struct{ text atomic.Pointer[string] }

// trouble is what keeps the cluster away; empty: nothing.
func (h *reach) trouble() string {
	if text := h.text.Load(); text != nil {
		return *text
	}
	return ""
}

// watchReach asks until the runtime ends. Whoever answers is there, whatever
// the answer: what it refuses, it refuses to the calls that ask for it.
func (r *Runtime) watchReach() {
	if r.config == nil {
		return // a client without a cluster
	}
	failed, since := 0, time.Time{}
	for {
		wait, hint, away := reachEvery, "", false
		err := r.ask()
		if err != nil {
			var class error
			hint, class = classify(err)
			away = class == runtime.Unavailable
		}
		if !away {
			failed = 0
			r.reach.text.Store(nil)
		} else {
			if failed++; failed == 1 {
				since = r.now()
			}
			if failed >= reachFailed {
				text := fmt.Sprintf("the cluster at %s is away since %s, and this is how it was then (%v); what runs there goes on: look at the network or VPN, and at the kubeconfig and its context; %s",
					r.config.Host, since.Local().Format(sinceSeconds), err, hint)
				r.reach.text.Store(&text)
			}
			wait = reachAgain
		}
		if !r.pause(r.ctx, wait) {
			return
		}
	}
}

func (r *Runtime) ask() error {
	ctx, cancel := context.WithTimeout(r.ctx, reachLimit)
	defer cancel()
	return r.client.Discovery().RESTClient().Get().AbsPath("/version").MaxRetries(0).Do(ctx).Error()
}
