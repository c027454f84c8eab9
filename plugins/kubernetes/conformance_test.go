package kubernetes_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance"
)

// TestConformanceOnNode runs the suite on a real cluster, in process.
func TestConformanceOnNode(t *testing.T) {
	kubeconfig := cluster.Node(t)
	guest := loadGuest(t, cluster.Of(t, kubeconfig))
	h := onCluster()
	h.New = func(t *testing.T) conformance.Instance {
		c, config, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: kubeconfig})
		if err != nil {
			t.Fatal(err)
		}
		rt, err := kubernetes.New(kubernetes.Options{
			Client: c, Config: config, Namespace: newNamespace(t, c), Environment: "local", Project: "conformance",
			Packer: loaded(guest), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Nonce: rand.Text(),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(rt.Close)
		return conformance.Instance{Runtime: rt}
	}
	conformance.Run(t, h)
}

// onCluster is what the suite has to know of a cluster's ways.
func onCluster() conformance.Harness {
	return conformance.Harness{
		Processes: true, Elsewhere: true, OneWay: true, Patience: 2 * time.Minute,
		Command: func(args ...string) []string { return append([]string{"/guest"}, args...) },
		Adapt:   adapt,
		Without: map[string]string{
			"ManyExitsBecomeASummary": "a kubelet lets minutes pass between the restarts of what ends again and again",
			"BackOff":                 "the kubelet has a back-off of its own: 10 s, doubled each time",
			"RestartWindow":           "as BackOff: six starts take three minutes",
			"ReadyByLog":              "a kubelet does not read logs: refused, see TestValidate",
			"ReadyByNotify":           "a kubelet knows no sd_notify: refused, see TestValidate",
			"StopBySignal":            "only clusters with ContainerStopSignals, which is alpha, end by another signal than SIGTERM",
		},
	}
}

// adapt makes a spec of the suite one whose image is there already. The
// directory in which the suite looks for files is one of the node's: it is
// this machine.
func adapt(t *testing.T, spec *runtime.Spec) {
	if err := os.Chmod(spec.Dir, 0o777); err != nil { // pods are of another user
		t.Fatal(err)
	}
	patch, err := json.Marshal(map[string]any{"Pod": map[string]any{"spec": map[string]any{
		"volumes": []any{map[string]any{"name": "shared", "hostPath": map[string]any{"path": spec.Dir, "type": "Directory"}}},
		"containers": []any{map[string]any{
			"name": kubernetes.ObjectName(spec.ID.Service), "volumeMounts": []any{map[string]any{"name": "shared", "mountPath": spec.Dir}},
		}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	spec.Package = &runtime.Package{Root: spec.Dir, Files: []string{"."}}
	spec.Patch = string(patch)
	spec.Environment = maps.Clone(spec.Environment)
	spec.Environment["STEAD_CONFORMANCE_HOST"] = "0.0.0.0"
	spec.Environment["PATH"] = "/bin"
	for _, variable := range spec.Inherited { // nothing of a user's machine gets into a cluster by itself
		name, value, _ := strings.Cut(variable, "=")
		if spec.Environment[name] == "" && name != "PATH" {
			spec.Environment[name] = value
		}
	}
}

// loaded is a Packer whose image is there already.
type loaded string

func (l loaded) Pack(_ context.Context, spec runtime.Spec) (string, error) {
	if _, err := os.Stat(spec.Dir); err != nil {
		return "", fmt.Errorf("pack %s: %w: %w", spec.ID.Label(), err, runtime.Invalid)
	}
	return string(l), nil
}

var guestOnce sync.Once

const guestImage = "stead.local/conformance-guest:1"

// loadGuest puts the image of the suite's service on the node.
func loadGuest(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	guestOnce.Do(func() {
		dir := t.TempDir()
		binary, archive := filepath.Join(dir, "guest"), filepath.Join(dir, "guest.tar")
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "./testdata/guest")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cluster.Image(t, guestImage, archive, "/guest="+binary, "/bin/sh="+binary, "/bin/env="+binary)
		c.Load(t, archive)
	})
	return guestImage
}

// newNamespace is one that no other test uses; the runtime makes it.
func newNamespace(t *testing.T, c client.Interface) string {
	name := "stead-test-" + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = c.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}) // it may never have been made
	})
	return name
}
