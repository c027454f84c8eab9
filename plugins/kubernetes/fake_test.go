package kubernetes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stead-dev/stead/runtime"
)

// onFake returns a runtime on an API server that keeps objects, and does
// nothing with them.
func onFake(t *testing.T, objects ...k8sruntime.Object) (*Runtime, *fake.Clientset) {
	t.Helper()
	c := fake.NewClientset(objects...)
	c.PrependReactor("patch", "*", withUID(c))
	r, err := New(Options{Client: c, Namespace: "shop", Environment: "staging", Project: "shop", Nonce: "n", Packer: tagged{}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	if err := r.cluster.wait(t.Context()); err != nil { // reactors may be added from now on: nobody lists
		t.Fatal(err)
	}
	return r, c
}

// withUID gives what is applied the UID that an API server would.
func withUID(c *fake.Clientset) clienttesting.ReactionFunc {
	apply := clienttesting.ObjectReaction(c.Tracker())
	return func(a clienttesting.Action) (bool, k8sruntime.Object, error) {
		handled, made, err := apply(a)
		if o, ok := made.(metav1.Object); ok && err == nil && o.GetUID() == "" {
			o.SetUID(types.UID(a.GetResource().Resource + "/" + o.GetName()))
			err = c.Tracker().Update(a.GetResource(), made, a.GetNamespace())
		}
		return handled, made, err
	}
}

// tagged is a Packer that has all images.
type tagged struct{}

func (tagged) Pack(_ context.Context, spec runtime.Spec) (string, error) {
	return "registry.example/" + spec.ID.Service + ":1", nil
}

// imageSpec needs no packing.
func imageSpec() runtime.Spec {
	spec := webSpec()
	spec.Package, spec.Image, spec.Command = nil, "registry.example/web:7", nil
	return spec
}

// writes are the verbs and resources that were written, without dry runs.
func writes(c *fake.Clientset) string {
	var list []string
	for _, a := range c.Actions() {
		switch a.GetVerb() {
		case "get", "list", "watch":
		default:
			list = append(list, a.GetVerb()+" "+a.GetResource().Resource)
		}
	}
	return strings.Join(list, ", ")
}

func TestStartWritesEachObjectOnce(t *testing.T) {
	r, c := onFake(t)
	spec := imageSpec()
	first, err := r.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	const want = "create namespaces, patch serviceaccounts, patch poddisruptionbudgets, patch deployments, patch configmaps, patch secrets"
	if got := writes(c); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	second, err := r.Start(t.Context(), spec)
	if err != nil || string(second.Data) != string(first.Data) || writes(c) != want {
		t.Errorf("the second time: %v; %s", err, writes(c))
	}
	next := spec
	next.ID.Number = 8
	if _, err := r.Start(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	// what is the service's is there already; what is shared has another owner
	if got := writes(c); got != want+", patch deployments, patch configmaps, patch secrets" {
		t.Errorf("the next generation: %s", got)
	}
	spec.Replicas = 2
	if _, err := r.Start(t.Context(), spec); runtime.Class(err) != runtime.Conflict {
		t.Errorf("another spec: %v", err)
	}
}

// A successor of a runtime that died in the middle of Start writes the rest.
func TestStartIsFinishedByASuccessor(t *testing.T) {
	r, c := onFake(t)
	c.PrependReactor("patch", "configmaps", func(clienttesting.Action) (bool, k8sruntime.Object, error) {
		return true, nil, apierrors.NewServiceUnavailable("going down")
	})
	spec := imageSpec()
	if _, err := r.Start(t.Context(), spec); runtime.Class(err) != runtime.Unavailable || runtime.Hint(err) == "" {
		t.Fatalf("%v", err)
	}
	c.ReactionChain = c.ReactionChain[1:]
	c.ClearActions()
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if got := writes(c); got != "patch configmaps, patch secrets" {
		t.Error(got)
	}
}

func TestForeignObjectsAreLeftAlone(t *testing.T) {
	theirs := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Name: "web", Namespace: "shop", ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "helm", Operation: "Update"}},
	}}
	other := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{
		Name: "db", Namespace: "shop", Labels: map[string]string{labelManagedBy: manager, labelProject: "bank"},
	}}
	r, c := onFake(t, theirs, other)
	spec := imageSpec()
	_, err := r.Start(t.Context(), spec)
	if runtime.Class(err) != runtime.Conflict || !strings.Contains(err.Error(), "made by helm, not by stead") || runtime.Hint(err) == "" {
		t.Errorf("%v", err)
	}
	spec.ID.Service = "db"
	if _, err = r.Start(t.Context(), spec); runtime.Class(err) != runtime.Conflict || !strings.Contains(err.Error(), "of project bank") {
		t.Errorf("%v", err)
	}
	if got := writes(c); got != "create namespaces" {
		t.Error(got)
	}
}

func TestRouteIsOneWrite(t *testing.T) {
	r, c := onFake(t)
	spec := imageSpec()
	if err := r.Route(t.Context(), spec.ID); runtime.Class(err) != runtime.NotFound {
		t.Errorf("nobody: %v", err)
	}
	for number := range uint64(2) {
		spec.ID.Number = number + 1
		if _, err := r.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
	}
	for _, number := range []uint64{1, 1, 2, 2} {
		spec.ID.Number = number
		if err := r.Route(t.Context(), spec.ID); err != nil {
			t.Fatal(err)
		}
		if n, err := r.routed(t.Context(), spec.ID); err != nil || n != number {
			t.Errorf("routed to %d, %v", n, err)
		}
	}
	if n := strings.Count(writes(c), "patch services"); n != 2 {
		t.Errorf("%d writes of Services in %s", n, writes(c))
	}
}

// Somebody has scaled what is routed: its successor begins with as many.
func TestSuccessorHasTheLiveReplicas(t *testing.T) {
	r, c := onFake(t)
	spec := imageSpec()
	start := func() int32 {
		spec.ID.Number++
		if _, err := r.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		d, err := c.AppsV1().Deployments("shop").Get(t.Context(), generationName(spec.ID), metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		return *d.Spec.Replicas
	}
	if n := start(); n != 3 {
		t.Errorf("%d replicas", n)
	}
	if err := r.Route(t.Context(), spec.ID); err != nil {
		t.Fatal(err)
	}
	if n := start(); n != 3 {
		t.Errorf("nobody has scaled, and there are %d", n)
	}
	if err := r.Route(t.Context(), spec.ID); err != nil {
		t.Fatal(err)
	}
	d, err := c.AppsV1().Deployments("shop").Get(t.Context(), generationName(spec.ID), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	five := int32(5)
	d.Spec.Replicas = &five
	if _, err := c.AppsV1().Deployments("shop").Update(t.Context(), d, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if n := start(); n != 5 {
		t.Errorf("scaled to 5, and the successor has %d", n)
	}
}

func TestRefusals(t *testing.T) {
	r, c := onFake(t)
	for name, change := range map[string]func(*runtime.Spec){
		"ready by log":     func(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: runtime.ProbeLog, Text: "up"} },
		"ready by notify":  func(s *runtime.Spec) { s.Ready = &runtime.Probe{Kind: runtime.ProbeNotify} },
		"a limit of pids":  func(s *runtime.Spec) { s.Limits.PIDs = 100 },
		"sockets":          func(s *runtime.Spec) { s.Sockets = []runtime.Socket{{Name: "http", Address: "127.0.0.1:1"}} },
		"data of many":     func(s *runtime.Spec) { s.Data = map[string]string{"a": "/a"} },
		"a low port":       func(s *runtime.Spec) { s.Ports[0].Number = 80 },
		"another's signal": func(s *runtime.Spec) { s.Stop.Signal = "INT" }, // this API server does not keep it
	} {
		spec := imageSpec()
		spec.Ports = append([]runtime.Port(nil), spec.Ports...)
		change(&spec)
		if name == "another's signal" {
			c.PrependReactor("patch", "deployments", func(a clienttesting.Action) (bool, k8sruntime.Object, error) {
				return true, &appsv1.Deployment{}, nil
			})
		}
		_, err := r.Start(t.Context(), spec)
		if runtime.Class(err) != runtime.Unsupported || runtime.Hint(err) == "" {
			t.Errorf("%s: %v (hint %q)", name, err, runtime.Hint(err))
		}
	}
}

func TestErrorClasses(t *testing.T) {
	gr := appsv1.Resource("deployments")
	for _, c := range []struct{ err, class error }{
		{apierrors.NewUnauthorized("token expired"), runtime.Unavailable},
		{apierrors.NewTooManyRequests("slow down", 1), runtime.Unavailable},
		{apierrors.NewInternalError(errors.New("etcd")), runtime.Unavailable},
		{apierrors.NewServiceUnavailable("x"), runtime.Unavailable},
		{apierrors.NewTimeoutError("x", 1), runtime.Unavailable},
		{context.DeadlineExceeded, runtime.Unavailable},
		{errors.New("dial tcp: connection refused"), runtime.Unavailable},
		{apierrors.NewForbidden(gr, "web", errors.New("rbac")), runtime.Invalid},
		{apierrors.NewForbidden(gr, "web", errors.New("exceeded quota: q")), runtime.Invalid},
		{apierrors.NewBadRequest("x"), runtime.Invalid},
		{apierrors.NewConflict(gr, "web", errors.New("x")), runtime.Conflict},
		{apierrors.NewApplyConflict(nil, `conflict with "kubectl"`), runtime.Conflict},
	} {
		if hint, class := classify(c.err); class != c.class || hint == "" {
			t.Errorf("%v: %v, want %v (hint %q)", c.err, class, c.class, hint)
		}
	}
}

// eventually waits for what informers bring.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); <-time.After(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

// The namespace is deleted under us: generations are lost, with the reason, and
// the next Start makes it again.
func TestRemovedByOthersIsLost(t *testing.T) {
	r, c := onFake(t)
	spec := imageSpec()
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the Deployment is not seen", func() bool {
		r.ledger.mu.Lock()
		defer r.ledger.mu.Unlock()
		return r.ledger.generations[keyOf(spec.ID)].uid != ""
	})
	if err := c.AppsV1().Deployments("shop").Delete(t.Context(), "web-7", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	var told runtime.GenerationStatus
	eventually(t, "nothing is told", func() bool {
		r.ledger.mu.Lock()
		defer r.ledger.mu.Unlock()
		told = r.ledger.generations[keyOf(spec.ID)].told
		return told.Phase.Final()
	})
	if told.Phase != runtime.GenerationFailed || !told.Lost || !strings.Contains(told.Reason, "not by stead") {
		t.Errorf("%+v", told)
	}
}
