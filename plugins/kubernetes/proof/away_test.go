package proof

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
)

// TestKubernetesServerIsAway stops the API server of a real node, and then
// kills it, while containers end and are started again there: how they ended is
// told afterwards, once each, and what is asked for meanwhile is refused as
// Unavailable, and done later.
func TestKubernetesServerIsAway(t *testing.T) {
	c := cluster.Start(t, "node")
	guest := suite.Load(t, c)
	s := newScene(t, c)
	p := s.open(t)
	spec := s.spec("web", 2)
	spec.Image, spec.Patch, spec.Environment = guest, "", nil
	spec.Command, spec.Ports = []string{"/guest", "exit", "3", "15s"}, nil
	p.start(spec)
	p.await("both run", func() bool {
		return p.generations[spec.ID].Phase == runtime.GenerationRunning && p.readyOf(spec.ID) == 2
	})
	for round, how := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		c.Signal(t, "kube-apiserver", how)
		p.mu.Lock()
		before := len(p.exits)
		p.mu.Unlock()
		other := next(spec)
		other.ID.Service, other.Command = []string{"one", "two"}[round], []string{"/guest", "run"}
		if how == syscall.SIGSTOP {
			_, err := p.rt.Start(t.Context(), other) // as long as a call may take
			if runtime.Class(err) != runtime.Unavailable || runtime.Hint(err) == "" {
				t.Errorf("while it is stopped: %v, hint %q", err, runtime.Hint(err))
			}
			c.Signal(t, "kube-apiserver", syscall.SIGCONT)
		}
		p.start(other)
		p.awaitReady(other)
		p.await("the ends are told", func() bool { return len(p.exits) >= before+2 })
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for instance, exits := range p.exits {
		if e := exits[0]; len(exits) != 1 || e.Code != 3 && !e.Lost {
			t.Errorf("%v: %+v", instance, exits)
		}
	}
	for what, n := range s.writes(t) {
		if n > 2 || strings.Contains(what, "deployments") && n > 1 {
			t.Errorf("%s: %d times", what, n)
		}
	}
	t.Logf("%d ends told, each once, the last at %v", len(p.exits), time.Now().Format(time.TimeOnly))
}
