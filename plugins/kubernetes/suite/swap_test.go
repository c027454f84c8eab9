package suite_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
)

// swaps of generations under load; STEAD_SWAPS=50 is what the project promises.
const swaps = 3

// TestKubernetesSwapsLoseNothing calls a service by its ClusterIP, by new
// connections and by one that is kept, from this machine and from a pod, while
// one generation takes over from the other.
func TestKubernetesSwapsLoseNothing(t *testing.T) {
	kubeconfig := cluster.Node(t)
	c := cluster.Of(t, kubeconfig)
	guest := suite.Load(t, c)
	client, config, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	namespace := suite.Namespace(t, client)
	rt, err := kubernetes.New(kubernetes.Options{
		Client: client, Config: config, Namespace: namespace, Environment: "local", Project: "conformance",
		Packer: suite.Loaded(guest), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Nonce: rand.Text(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rt.Close)
	events := make(chan runtime.Event, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // ends with ctx
		_ = rt.Watch(ctx, func(e runtime.Event) error { events <- e; return nil })
	}()
	wait := func(what string, ok func(runtime.Event) bool) {
		t.Helper()
		limit := time.After(2 * time.Minute)
		for {
			select {
			case e := <-events:
				if ok(e) {
					return
				}
			case <-limit:
				t.Fatal(what)
			}
		}
	}
	spec := runtime.Spec{
		ID: runtime.ID{Environment: "local", Project: "conformance", Service: "web"}, Image: guest, Command: []string{"/guest", "serve", "0s"},
		Environment: map[string]string{"STEAD_CONFORMANCE_HOST": "0.0.0.0"}, Replicas: 2,
		Ports: []runtime.Port{{Name: "http", Protocol: "http", Published: 80}},
		Ready: &runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/ok"}, Restart: runtime.Restart{Policy: runtime.RestartAlways},
		Stop: runtime.Stop{Grace: 5 * time.Second},
	}
	begin := func() {
		spec.ID.Number++
		if _, err := rt.Start(t.Context(), spec); err != nil {
			t.Fatal(err)
		}
		ready := map[runtime.InstanceID]bool{}
		wait("it is not ready", func(e runtime.Event) bool {
			if e.ID == spec.ID && e.Ready != nil && e.Ready.Ready {
				ready[e.Instance] = true
			}
			return len(ready) == spec.Replicas
		})
		if err := rt.Route(t.Context(), spec.ID); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	service, err := client.CoreV1().Services(namespace).Get(t.Context(), "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	caller := spec
	caller.ID.Service, caller.Ports, caller.Ready, caller.Replicas = "caller", nil, nil, 1
	caller.Command = []string{"/guest", "call", "http://" + service.Spec.ClusterIP + "/ok"}
	if _, err := rt.Start(t.Context(), caller); err != nil {
		t.Fatal(err)
	}
	wait("the caller does not run", func(e runtime.Event) bool { return e.ID == caller.ID && e.Started != nil })
	calls, kept := callers(t, "http://"+service.Spec.ClusterIP+"/ok", true), callers(t, "http://"+service.Spec.ClusterIP+"/ok", false)
	n := swaps
	if text := os.Getenv("STEAD_SWAPS"); text != "" {
		if _, err := fmt.Sscan(text, &n); err != nil {
			t.Fatal(err)
		}
	}
	for range n {
		old := spec.ID
		begin()
		if err := rt.Stop(t.Context(), old, runtime.StopRequest{Drain: true}); err != nil {
			t.Fatal(err)
		}
		wait("the old one does not end", func(e runtime.Event) bool {
			return e.ID == old && e.Generation != nil && e.Generation.Phase == runtime.GenerationStopped
		})
	}
	good, bad := calls()
	more, worse := kept()
	t.Logf("%d swaps, %d requests by new connections, of which %d failed, and %d by kept ones, of which %d failed", n, good+len(bad), len(bad), more+len(worse), len(worse))
	good, bad = min(good, more), append(bad, worse...)
	inside := called(t, c, namespace)
	t.Logf("from a pod: %d requests by new connections, of which %d failed, and %d by a kept one, of which %d failed", inside[0]+inside[1], inside[1], inside[2]+inside[3], inside[3])
	if good = min(good, inside[0], inside[2]); inside[1]+inside[3] > 0 {
		bad = append(bad, failures(c.Run(t, "-n", namespace, "logs", "deployment/caller-1", "--tail=-1")))
	}
	if len(bad) > 0 || good == 0 {
		t.Errorf("%d requests went well, and %d did not: %s", good, len(bad), strings.Join(bad[:min(len(bad), 5)], "\n"))
	}
	counts := map[string]int{}
	for _, w := range c.Writes(t, namespace) {
		if strings.HasPrefix(w.Agent, "stead") {
			counts[w.Verb+" "+w.Resource]++
		}
	}
	t.Logf("writes: %v", counts)
	if counts["patch services"] != n+1 || counts["patch deployments"] != n+2 || counts["delete deployments"] != n || counts["patch serviceaccounts"] != 2 {
		t.Errorf("%d swaps took the writes %v", n, counts)
	}
	if err := rt.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

// failures are the lines of the caller's log that tell of one.
func failures(log string) string {
	var some []string
	for line := range strings.SplitSeq(log, "\n") {
		if strings.HasPrefix(line, "failed: ") {
			some = append(some, line)
		}
	}
	return strings.Join(some[:min(len(some), 5)], "\n")
}

// called is what the caller in the pod says at last: requests that went well and
// that did not, by new connections and by kept ones.
func called(t *testing.T, c *cluster.Cluster, namespace string) (n [4]int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; <-time.After(time.Second) { // one more line of it
		lines := strings.Split(strings.TrimSpace(c.Run(t, "-n", namespace, "logs", "deployment/caller-1", "--tail=1")), "\n")
		if k, _ := fmt.Sscanf(lines[len(lines)-1], "called %d %d %d %d", &n[0], &n[1], &n[2], &n[3]); k == 4 {
			return n
		}
		if time.Now().After(end) {
			t.Fatalf("the caller says %q", lines)
		}
	}
}

// callers call url until the function that is returned ends them, and says how
// often that went well, and how not.
func callers(t *testing.T, url string, anew bool) func() (int, []string) {
	http := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: anew}}
	stop, done := make(chan struct{}), make(chan struct{})
	good, bad := 0, []string(nil)
	for end := time.Now().Add(time.Minute); ; <-time.After(20 * time.Millisecond) { // the first route takes a moment
		if answer, err := http.Get(url); err == nil {
			answer.Body.Close()
			break
		} else if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	go func() { // ends by stop
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			answer, err := http.Get(url)
			if err != nil {
				bad = append(bad, err.Error())
				continue
			}
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			if err != nil || answer.StatusCode != 200 {
				bad = append(bad, fmt.Sprint(answer.Status, err))
				continue
			}
			good++
		}
	}()
	return func() (int, []string) {
		close(stop)
		<-done
		return good, bad
	}
}
