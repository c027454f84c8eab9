// Package proof has the tests that hold the Kubernetes runtime to its promises
// when things go wrong and when there is much of everything: on a real API
// server, behind a gate that answers as a broken one would. Where a kubelet
// would only be slow, a pretended one says what became of pods. For tests
// alone.
//
// A scene, its gate and its kubelet may be used by several goroutines; a player
// is followed by a goroutine of its own, which ends with it.
package proof

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	steadkubernetes "github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
)

func TestMain(m *testing.M) {
	steadkubernetes.LogTo(slog.New(slog.DiscardHandler)) // client-go's own words
	var err error
	if builds, err = os.MkdirTemp("", "sr"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(builds)
	os.Exit(code)
}

// patience ends a test that hangs; it asserts no speed.
const patience = 2 * time.Minute

// scene is a namespace of a cluster, seen through a gate.
type scene struct {
	cluster   *cluster.Cluster
	admin     kubernetes.Interface // past the gate
	config    *rest.Config         // of admin
	namespace string
	gate      *gate
	kubelet   *kubelet // nil where there is a real one
}

// onControl is a scene whose pods run on a pretended node.
func onControl(t *testing.T) *scene {
	s := newScene(t, cluster.Control(t))
	s.kubelet = pretend(t, s.admin)
	return s
}

func newScene(t *testing.T, c *cluster.Cluster) *scene {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.UserAgent = -1, "proof"
	admin, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return &scene{cluster: c, admin: admin, config: config, namespace: suite.Namespace(t, admin), gate: newGate(t, config)}
}

// spec of a service whose pods only the scene's kubelet takes.
func (s *scene) spec(service string, replicas int) runtime.Spec {
	spec := runtime.Spec{
		ID:    runtime.ID{Environment: "local", Project: "proof", Service: service, Number: 1},
		Image: "stead.local/none:1", Replicas: replicas,
		Environment: map[string]string{"COLOUR": "blue", "TOKEN": "s3cret"}, Secrets: []string{"TOKEN"},
		Ports:   []runtime.Port{{Name: "http", Protocol: "http", Published: 80}},
		Restart: runtime.Restart{Policy: runtime.RestartAlways}, Stop: runtime.Stop{Grace: time.Second},
	}
	if s.kubelet != nil {
		spec.Patch = fmt.Sprintf(`{"Pod":{"spec":{"nodeSelector":{"kubernetes.io/hostname":%q},"tolerations":[{"operator":"Exists"}]}}}`, s.kubelet.node)
	}
	return spec
}

// next is spec's successor.
func next(spec runtime.Spec) runtime.Spec {
	spec.ID.Number++
	return spec
}

// player is a runtime in this process, and what it has told.
type player struct {
	t  *testing.T
	rt *steadkubernetes.Runtime

	mu          sync.Mutex
	generations map[runtime.ID]runtime.GenerationStatus
	ready       map[runtime.InstanceID]bool
	exits       map[runtime.InstanceID][]runtime.Exit
	changed     chan struct{} // closed, and made anew, by each event
}

// open starts a runtime that goes through the gate.
func (s *scene) open(t *testing.T) *player {
	t.Helper()
	client, config, err := steadkubernetes.Connect(steadkubernetes.Target{Kubeconfig: s.gate.kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	rt, err := steadkubernetes.New(steadkubernetes.Options{
		Client: client, Config: config, Namespace: s.namespace, Environment: "local", Project: "proof",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Nonce: rand.Text(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return follow(t, rt)
}

func follow(t *testing.T, rt *steadkubernetes.Runtime) *player {
	p := &player{
		t: t, rt: rt, generations: map[runtime.ID]runtime.GenerationStatus{}, ready: map[runtime.InstanceID]bool{},
		exits: map[runtime.InstanceID][]runtime.Exit{}, changed: make(chan struct{}),
	}
	done := make(chan struct{})
	go func() { // ends with the runtime
		defer close(done)
		for {
			if err := rt.Watch(t.Context(), p.see); t.Context().Err() != nil || isDone(rt) {
				return
			} else if runtime.Class(err) != runtime.Unavailable {
				t.Errorf("watch: %v", err)
				return
			}
		}
	}()
	t.Cleanup(func() {
		rt.Close()
		<-done
	})
	return p
}

func isDone(rt *steadkubernetes.Runtime) bool {
	select {
	case <-rt.Done():
		return true
	default:
		return false
	}
}

// see takes in an event.
func (p *player) see(e runtime.Event) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Kind {
	case runtime.GenerationEvent:
		p.generations[e.ID] = *e.Generation
	case runtime.ReadyEvent:
		p.ready[e.Instance] = e.Ready.Ready
	case runtime.ExitedEvent:
		delete(p.ready, e.Instance)
		p.exits[e.Instance] = append(p.exits[e.Instance], *e.Exit)
	}
	close(p.changed)
	p.changed = make(chan struct{})
	return nil
}

// await waits until ok, which is asked under p.mu after each event, is so.
func (p *player) await(what string, ok func() bool) {
	p.t.Helper()
	limit := time.After(patience)
	for {
		p.mu.Lock()
		good, changed := ok(), p.changed
		p.mu.Unlock()
		if good {
			return
		}
		select {
		case <-changed:
		case <-limit:
			p.mu.Lock()
			defer p.mu.Unlock()
			p.t.Fatalf("%s: not within %v\n%+v\nready %v\nexits %v", what, patience, p.generations, p.ready, p.exits)
		}
	}
}

// readyOf counts the ready instances of a generation.
func (p *player) readyOf(id runtime.ID) int {
	n := 0
	for instance, ready := range p.ready {
		if ready && instance.ID == id {
			n++
		}
	}
	return n
}

func (p *player) awaitReady(spec runtime.Spec) {
	p.t.Helper()
	p.await(spec.ID.Label()+" is ready", func() bool { return p.readyOf(spec.ID) == spec.Replicas })
}

// insist does what the daemon does while a cluster is away.
func (p *player) insist(what string, do func() error) {
	p.t.Helper()
	insist(p.t, what, do)
}

func insist(t *testing.T, what string, do func() error) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := do()
		if err == nil {
			return
		}
		if runtime.Class(err) != runtime.Unavailable || runtime.Hint(err) == "" {
			t.Fatalf("%s: class %v, hint %q: %v", what, runtime.Class(err), runtime.Hint(err), err)
		}
		if time.Now().After(limit) {
			t.Fatalf("%s: still %v", what, err)
		}
	}
}

func (p *player) start(spec runtime.Spec) {
	p.t.Helper()
	p.insist("start "+spec.ID.Label(), func() error { _, err := p.rt.Start(p.t.Context(), spec); return err })
}

func (p *player) route(id runtime.ID) {
	p.t.Helper()
	p.insist("route "+id.Label(), func() error { return p.rt.Route(p.t.Context(), id) })
}

func (p *player) stop(id runtime.ID) {
	p.t.Helper()
	p.insist("stop "+id.Label(), func() error { return p.rt.Stop(p.t.Context(), id, runtime.StopRequest{Drain: true}) })
	p.await(id.Label()+" has ended", func() bool { return p.generations[id].Phase == runtime.GenerationStopped })
}

// swap puts next in the place of old.
func (p *player) swap(old, next runtime.Spec) {
	p.t.Helper()
	p.start(next)
	p.awaitReady(next)
	p.route(next.ID)
	p.stop(old.ID)
}

// writes are what the audit log has of a runtime, refused ones left out:
// "patch deployments web-1" -> how often.
func (s *scene) writes(t *testing.T) map[string]int {
	t.Helper()
	counts := map[string]int{}
	for _, w := range s.cluster.Writes(t, s.namespace) {
		if strings.HasPrefix(w.Agent, "stead") && w.Code < 300 && w.Resource != "leases" { // renewed by the clock
			counts[w.Verb+" "+w.Resource+" "+w.Name]++
		}
	}
	return counts
}

// eventually waits for what no event tells.
func eventually(t *testing.T, what string, ok func(ctx context.Context) bool) {
	t.Helper()
	for limit := time.Now().Add(patience); !ok(t.Context()); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not within %v", what, patience)
		}
	}
}
