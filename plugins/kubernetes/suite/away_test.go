package suite_test

import (
	"crypto/rand"
	"log/slog"
	"syscall"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
)

// TestKubernetesAPIServerIsKilled: what is asked while it is away is
// Unavailable; when it is back, all goes on without anybody's doing, and
// nothing is written twice.
func TestKubernetesAPIServerIsKilled(t *testing.T) {
	c := cluster.Start(t, "api")
	client, config, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: c.Kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	namespace := suite.Namespace(t, client)
	rt, err := kubernetes.New(kubernetes.Options{
		Client: client, Config: config, Namespace: namespace, Environment: "local", Project: "conformance",
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Nonce: rand.Text(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.Close)
	spec := runtime.Spec{
		ID: runtime.ID{Environment: "local", Project: "conformance", Service: "web", Number: 1}, Image: "x:1", Replicas: 1,
		Restart: runtime.Restart{Policy: runtime.RestartAlways},
	}
	if _, err := rt.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	c.Signal(t, "kube-apiserver", syscall.SIGKILL) // it is started again after a second or a few
	next := spec
	next.ID.Number = 2
	for end, away := time.Now().Add(time.Minute), false; ; <-time.After(50 * time.Millisecond) {
		_, err := rt.Start(t.Context(), next)
		if err == nil {
			t.Logf("it was away: %v", away)
			break
		}
		if away = true; runtime.Class(err) != runtime.Unavailable || runtime.Hint(err) == "" {
			t.Fatalf("%v (hint %q)", err, runtime.Hint(err))
		}
		if time.Now().After(end) {
			t.Fatal("it does not come back")
		}
	}
	// by somebody else, who is not told to us but by the watch that goes on
	if err := client.AppsV1().Deployments(namespace).Delete(t.Context(), "web-1", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	lost := make(chan struct{})
	go func() { // ends with the runtime
		_ = rt.Watch(t.Context(), func(e runtime.Event) error {
			if e.ID == spec.ID && e.Generation != nil && e.Generation.Phase == runtime.GenerationFailed && e.Generation.Lost {
				close(lost)
			}
			return nil
		})
	}()
	select {
	case <-lost:
	case <-time.After(2 * time.Minute):
		t.Fatal("nobody has heard of what happened after it was back")
	}
	made := 0
	for _, w := range c.Writes(t, namespace) {
		if w.Resource == "deployments" && w.Verb == "patch" && w.Code < 300 {
			made++
		}
	}
	if made != 2 {
		t.Errorf("%d writes of Deployments, want one of each", made)
	}
}
