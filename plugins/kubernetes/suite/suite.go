// Package suite fits the conformance suite to clusters: what its services are
// there, and which of its cases mean nothing. For tests alone.
package suite

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
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

// ExitsKept is for kubernetes.Options: a container that ends again and again takes
// a second each time.
const ExitsKept = 16

// Harness is what the suite has to know of a cluster's ways; New is the caller's.
func Harness() conformance.Harness {
	return conformance.Harness{
		Processes: true, Elsewhere: true, OneWay: true, OthersLogs: true, Patience: 2 * time.Minute,
		Command:   func(args ...string) []string { return append([]string{"/guest"}, args...) },
		Adapt:     adapt,
		Refused:   []string{"ReadyByLog", "ReadyByNotify"}, // a kubelet does not read logs, and knows no sd_notify
		ExitsKept: ExitsKept,
		BackOff:   []time.Duration{0, time.Second, time.Second},
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
	spec.Package = &runtime.Package{Base: "guest", Root: spec.Dir, Files: []string{"."}}
	spec.Patch = string(patch)
	spec.Environment = maps.Clone(spec.Environment)
	spec.Environment["STEAD_CONFORMANCE_HOST"] = "0.0.0.0"
	spec.Environment["PATH"] = "/bin"
}

// Loaded is a Packer whose image is there already.
type Loaded string

// endedBy is the image of the same files that says what ends it, as images that
// are really made say it.
func endedBy(image, signal string) string {
	if strings.HasSuffix(signal, "HUP") {
		return image + "-hup"
	}
	return image
}

// Pack implements kubernetes.Packer.
func (l Loaded) Pack(_ context.Context, spec runtime.Spec) (string, error) {
	if _, err := os.Stat(spec.Dir); err != nil {
		return "", fmt.Errorf("pack %s: %w: %w", spec.ID.Label(), err, runtime.Invalid)
	}
	return endedBy(string(l), spec.Stop.Signal), nil
}

var guestOnce sync.Once

const guestImage = "stead.local/conformance-guest:1"

// Load puts the image of the suite's service on the node.
func Load(t *testing.T, c *cluster.Cluster) string {
	t.Helper()
	guestOnce.Do(func() {
		dir := t.TempDir()
		binary, archive := filepath.Join(dir, "guest"), filepath.Join(dir, "guest.tar")
		build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", binary, "github.com/stead-dev/stead/plugins/kubernetes/suite/guest")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, signal := range []string{"", "SIGHUP"} {
			cluster.Image(t, endedBy(guestImage, signal), archive, signal, "/guest="+binary, "/bin/sh="+binary, "/bin/env="+binary)
			c.Load(t, archive)
		}
	})
	return guestImage
}

// Namespace is one that no other test uses; the runtime makes it.
func Namespace(t *testing.T, c client.Interface) string {
	name := "stead-test-" + strings.ToLower(rand.Text()[:8])
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		_ = c.CoreV1().Namespaces().Delete(ctx, name, metav1.DeleteOptions{}) // it may never have been made
	})
	return name
}
