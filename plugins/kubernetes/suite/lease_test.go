package suite_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
)

// shop is a namespace in which several runtimes serve the same project.
type shop struct {
	t          *testing.T
	kubeconfig string
	client     client.Interface
	namespace  string
}

func newShop(t *testing.T, kubeconfig string) *shop {
	c, _, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t: t, kubeconfig: kubeconfig, client: c, namespace: suite.Namespace(t, c)}
}

// runtime is one of somebody's, ended with the test.
func (s *shop) runtime(identity string) *kubernetes.Runtime {
	s.t.Helper()
	c, config, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: s.kubeconfig})
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := kubernetes.New(kubernetes.Options{
		Client: c, Config: config, Namespace: s.namespace, Environment: "staging", Project: "shop", Identity: identity,
		Log: slog.New(slog.NewTextHandler(s.t.Output(), nil)), Nonce: rand.Text(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(r.Close)
	return r
}

func web(number uint64) runtime.Spec {
	return runtime.Spec{
		ID: runtime.ID{Environment: "staging", Project: "shop", Service: "web", Number: number}, Image: "registry.example/web:1",
		Replicas: 1, Ports: []runtime.Port{{Name: "http", Number: 8080, Protocol: "http"}}, Stop: runtime.Stop{Signal: "TERM"},
	}
}

// watched follows a runtime: seen has what it reports, ended how that ended.
func watched(t *testing.T, r *kubernetes.Runtime) (seen chan runtime.Event, ended chan error) {
	seen, ended = make(chan runtime.Event, 100), make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		ended <- r.Watch(ctx, func(e runtime.Event) error { seen <- e; return nil })
	}()
	t.Cleanup(cancel)
	for e := range seen {
		if e.Kind == runtime.SyncedEvent {
			break
		}
	}
	return seen, ended
}

// refusals are what a runtime says to each change that it is asked for.
func refusals(t *testing.T, r *kubernetes.Runtime) map[string]error {
	id := web(1).ID
	_, start := r.Start(t.Context(), web(9))
	return map[string]error{
		"start": start, "stop": r.Stop(t.Context(), id, runtime.StopRequest{}), "route": r.Route(t.Context(), id),
		"shut down": r.Shutdown(t.Context()), "lead": r.Lead(t.Context(), false),
	}
}

func wantDrivenBy(t *testing.T, r *kubernetes.Runtime, who string) {
	t.Helper()
	for what, err := range refusals(t, r) {
		if !errors.Is(err, runtime.Conflict) || !strings.Contains(err.Error(), "shop in staging is driven by "+who+" since ") ||
			!strings.Contains(runtime.Hint(err), "`stead --env staging up --take-over`") {
			t.Errorf("%s: %v, hint %q", what, err, runtime.Hint(err))
		}
	}
	d, err := r.Describe(t.Context(), runtime.ContractVersion)
	if err != nil || d.Driver == nil || d.Driver.Self || d.Driver.Name != who || d.Driver.Since.IsZero() {
		t.Errorf("the driver is %+v, %v", d.Driver, err)
	}
}

// TestOneRuntimeDrives: the first that changes something, until another takes
// over; all the others observe.
func TestOneRuntimeDrives(t *testing.T) {
	s := newShop(t, cluster.API(t))
	alice, bob := s.runtime("alice@laptop/1"), s.runtime("bob@desk/2")
	_, aliceEnded := watched(t, alice)
	_, bobEnded := watched(t, bob)
	if leases, err := s.client.CoordinationV1().Leases(s.namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(leases.Items) > 0 {
		t.Fatalf("watching took %v, %v", leases.Items, err)
	}
	if _, err := alice.Start(t.Context(), web(1)); err != nil {
		t.Fatal(err)
	}
	if err := within(t, bobEnded); err == nil || !strings.Contains(err.Error(), "driven by alice@laptop since ") {
		t.Errorf("bob's watch ended by %v", err)
	}
	bobSaw, bobEnded := watched(t, bob)
	wantDrivenBy(t, bob, "alice@laptop")
	if _, err := alice.Start(t.Context(), web(2)); err != nil {
		t.Fatal(err)
	}
	for e := range bobSaw {
		if e.ID.Number == 2 {
			break
		}
	}
	if err := bob.Lead(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	if err := within(t, aliceEnded); err == nil || !strings.Contains(err.Error(), "driven by bob@desk since ") {
		t.Errorf("alice's watch ended by %v", err)
	}
	wantDrivenBy(t, alice, "bob@desk")
	if err := bob.Stop(t.Context(), web(1).ID, runtime.StopRequest{}); err != nil {
		t.Error(err)
	}
	select {
	case err := <-bobEnded:
		t.Errorf("bob's watch has ended: %v", err)
	default:
	}
	bob.Close() // lets go of it
	if _, err := alice.Start(t.Context(), web(3)); err != nil {
		t.Error(err)
	}
}

// TestSuccessorDrivesOn: one of the same home goes on without waiting, and
// without being asked.
func TestSuccessorDrivesOn(t *testing.T) {
	s := newShop(t, cluster.API(t))
	alice := s.runtime("alice@laptop/1")
	_, _ = watched(t, alice)
	if _, err := alice.Start(t.Context(), web(1)); err != nil {
		t.Fatal(err)
	}
	second := s.runtime("alice@laptop/1") // as though the first had been killed
	_, _ = watched(t, second)
	if d, err := second.Describe(t.Context(), runtime.ContractVersion); err != nil || d.Driver == nil || !d.Driver.Self {
		t.Errorf("%+v, %v", d.Driver, err)
	}
	if _, err := second.Start(t.Context(), web(2)); err != nil {
		t.Error(err)
	}
}

// TestDeadDriverIsSucceeded: one that was killed on another machine has its
// time, and no more.
func TestDeadDriverIsSucceeded(t *testing.T) {
	s := newShop(t, cluster.API(t))
	carol := s.runtime("carol@gone/3")
	if err := carol.Lead(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	carol.Close()
	leases := s.client.CoordinationV1().Leases(s.namespace)
	dead, err := leases.Get(t.Context(), kubernetes.LeaseName("shop"), metav1.GetOptions{})
	if err != nil || dead.Spec.HolderIdentity != nil {
		t.Fatalf("%v, %v", dead, err)
	}
	dead.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: ptr.To("carol@gone/3"), AcquireTime: ptr.To(metav1.NewMicroTime(time.Now().Add(-time.Hour))),
		RenewTime: ptr.To(metav1.NewMicroTime(time.Now().Add(-time.Minute))),
	}
	if _, err := leases.Update(t.Context(), dead, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	alice := s.runtime("alice@laptop/1")
	if err := alice.Lead(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 10*time.Second {
		t.Errorf("taken from one that may live, after %v", took)
	}
}

func within(t *testing.T, ended chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("it does not end")
		return nil
	}
}
