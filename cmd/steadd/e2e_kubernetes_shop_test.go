package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
)

// TestKubernetesShop: the example project comes up in a namespace that enforces
// the Restricted pod security standard, and its page is made of what the other
// services say.
func TestKubernetesShop(t *testing.T) {
	s := newCloudstead(t, cluster.Node(t), "  none: {command: ./service}")
	if err := os.CopyFS(filepath.Join(s.dir, "shop"), os.DirFS("../../testdata/shop")); err != nil {
		t.Fatal(err)
	}
	s.dir = filepath.Join(s.dir, "shop")
	over := fmt.Sprintf("environments:\n  dev: {namespace: %s, kubeconfig: %s, context: stead-clustertest-%s}\n", s.namespace, s.c.Kubeconfig, s.c.Name)
	if err := os.WriteFile(filepath.Join(s.dir, "stead.override.yaml"), []byte(over), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CONTAINERD", s.c.Containerd)
	s.c.Run(t, "create", "namespace", s.namespace)
	s.c.Run(t, "label", "namespace", s.namespace, "pod-security.kubernetes.io/enforce=restricted")
	if text := s.do("render"); !strings.Contains(text, "image: made-at-start\n") {
		t.Errorf("nothing is built, and yet there are images:\n%s", text)
	}
	s.do("up", "-d", "--yes")
	for name, one := range s.cloudStatus() {
		if one.Phase != "ready" && one.Phase != "completed" {
			t.Errorf("%s is %s", name, one.Phase)
		}
	}
	s.rendersWhatRuns()
	answer, err := http.Get("http://" + s.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}:{.spec.ports[0].port}") + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	page, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Errorf("%s, %v:\n%s", answer.Status, err, page)
	}
	s.do("down", "--yes")
	if left := s.names("deployments,jobs,services,configmaps", "-l", "app.kubernetes.io/managed-by=stead"); len(left) > 0 {
		t.Errorf("down leaves %v", left)
	}
}

// rendersWhatRuns: the images of what is rendered are those that run, which
// are those that build names; so nothing differs, but for what is not there.
func (s *cloudstead) rendersWhatRuns() {
	s.Helper()
	if out := s.do("diff"); out != "nothing differs\n" {
		s.Errorf("it differs from what has just been started:\n%s", out)
	}
	if err := os.Remove(filepath.Join(s.dir, "bin", "migrate")); err != nil {
		s.Fatal(err)
	}
	if out := s.do("diff"); strings.Count(out, "change ") != 1 || !strings.Contains(out, "change Job/migrate-") || !strings.Contains(out, "image: made-at-start") {
		s.Errorf("one program is not there, and this differs:\n%s", out)
	}
	built := regexp.MustCompile(`\S+@sha256:\w+`).FindAllString(s.do("build"), -1)
	text := s.do("render")
	running := s.kubectl("get", "deployments,jobs", "-o", "jsonpath={.items[*].spec.template.spec.containers[0].image}")
	if len(built) == 0 || strings.Contains(text, "made-at-start") {
		s.Errorf("%d images are built, and rendered is:\n%s", len(built), text)
	}
	for _, image := range built {
		if !strings.Contains(text, "image: "+image+"\n") || !strings.Contains(running, image) {
			s.Errorf("%s is built; these run: %s; rendered is:\n%s", image, running, text)
		}
	}
}

// TestKubernetesData: what a service keeps in a directory of data: outlives its
// generations, of which no two run at once, and down.
func TestKubernetesData(t *testing.T) {
	s := newCloudstead(t, cluster.Node(t), "  counter: {command: ./service -every 100ms -count /data/count, data: {store: /data}, stop: {grace: 5s}}")
	dir := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o777); err != nil { // pods are of another user
		t.Fatal(err)
	}
	volume := s.c.Command("apply", "-f", "-")
	volume.Stdin = strings.NewReader(fmt.Sprintf(`apiVersion: v1
kind: PersistentVolume
metadata: {name: %s}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: %s}
  claimRef: {namespace: %s, name: counter-store}
`, s.namespace, dir, s.namespace))
	if out, err := volume.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = s.c.Command("delete", "persistentvolume", s.namespace, "--wait=false").Run() })
	counted := func() int {
		text, _ := os.ReadFile(filepath.Join(dir, "count"))
		n, _ := strconv.Atoi(string(text))
		return n
	}
	s.do("up", "-d", "--yes")
	for range 2 {
		before := counted()
		s.until("it counts", podPatience, func() bool { return counted() > before+5 })
		s.do("restart", "counter")
	}
	before := counted()
	s.until("the third one counts on", podPatience, func() bool { return counted() > before+5 })
	last := 0
	for _, m := range regexp.MustCompile(`tick (\d+)`).FindAllStringSubmatch(s.do("logs", "counter"), -1) {
		n, _ := strconv.Atoi(m[1])
		if n <= last {
			t.Errorf("%d follows %d: two counted at once", n, last)
		}
		last = n
	}
	if last < 15 {
		t.Errorf("its log ends with %d", last)
	}
	s.do("down", "--yes")
	if claims := s.names("persistentvolumeclaims"); len(claims) != 1 {
		t.Errorf("after down there are the claims %v", claims)
	}
}
