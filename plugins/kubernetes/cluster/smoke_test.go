package cluster_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
)

// patience ends a test that hangs.
const patience = "180s"

const web = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        image: %s
        imagePullPolicy: %s
        readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
`

// namespace makes one that goes with the test, and returns kubectl in it.
func namespace(t *testing.T, c *cluster.Cluster) (string, func(stdin string, args ...string) string) {
	t.Helper()
	name := fmt.Sprintf("smoke-%d", time.Now().UnixNano())
	c.Run(t, "create", "namespace", name)
	t.Cleanup(func() { c.Run(t, "delete", "namespace", name, "--wait=false") })
	return name, func(stdin string, args ...string) string {
		t.Helper()
		cmd := c.Command(append([]string{"-n", name}, args...)...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
}

func lap(t *testing.T) func(string) {
	began := time.Now()
	return func(what string) { t.Logf("%5.1f s  %s", time.Since(began).Seconds(), what) }
}

// What is written is counted, what is read or refused is not there.
func TestAPI(t *testing.T) {
	c := cluster.Of(t, cluster.API(t))
	ns, kubectl := namespace(t, c)
	kubectl(fmt.Sprintf(web, "none", "Never"), "apply", "--server-side", "--field-manager=stead", "-f", "-")
	kubectl("", "get", "deployments,services,pods")
	bad := c.Command("-n", ns, "create", "-f", "-")
	bad.Stdin = strings.NewReader(strings.ReplaceAll(fmt.Sprintf(web, "none", "Never"), "port: 80,", "port: 99999,"))
	if out, err := bad.CombinedOutput(); err == nil || !strings.Contains(string(out), "99999") {
		t.Errorf("a Service with port 99999: %v, %s", err, out)
	}
	var applied []string
	for _, w := range c.Writes(t, ns) {
		if w.Verb == "patch" && w.Code < 300 {
			applied = append(applied, w.Resource+" "+w.Name)
		}
	}
	if got := strings.Join(applied, ", "); got != "deployments web, services web" {
		t.Errorf("written: %s", got)
	}
}

func TestNode(t *testing.T) {
	c := cluster.Of(t, cluster.Node(t))
	began := lap(t)
	if got := c.Run(t, "get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`); got != "True" {
		t.Fatalf("nodes are Ready: %q", got)
	}
	const image = "stead.local/smoke:1"
	archive := buildImage(t, image)
	began("image built")
	c.Load(t, archive)
	began("image loaded")

	ns, kubectl := namespace(t, c)
	kubectl(fmt.Sprintf(web, image, "Never"), "apply", "-f", "-")
	kubectl("", "rollout", "status", "deployment/web", "--timeout", patience)
	began("two replicas are ready")

	ip := kubectl("", "get", "service", "web", "-o", "jsonpath={.spec.clusterIP}")
	if got := get(t, "http://"+ip+"/"); !strings.HasPrefix(got, "hello from web-") {
		t.Errorf("the ClusterIP answers this machine %q", got)
	}
	began("ClusterIP answers this machine")
	for _, name := range []string{"web", "web." + ns, "web." + ns + ".svc.cluster.local"} {
		if got := kubectl("", "exec", "deploy/web", "--", "/app", "lookup", name); strings.TrimSpace(got) != "["+ip+"]" {
			t.Errorf("%s is %s, want %s", name, got, ip)
		}
	}
	if got := kubectl("", "exec", "deploy/web", "--", "/app", "get", "http://web/"); !strings.HasPrefix(got, "hello from web-") {
		t.Errorf("by its name the service answers %q", got)
	}
	began("a pod calls it by name")
	if got := kubectl("a\nb\n", "exec", "-i", "deploy/web", "--", "/app", "echo"); got != "echo: a\necho: b\n" {
		t.Errorf("exec with standard input: %q", got)
	}
	var exit *exec.ExitError
	if err := c.Command("-n", ns, "exec", "deploy/web", "--", "/app", "exit").Run(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
		t.Errorf("exec of what exits with 7: %v", err)
	}
	if got := kubectl("", "logs", "-l", "app=web"); strings.Count(got, "listening on :8080") != 2 {
		t.Errorf("logs: %q", got)
	}
	began("exec, logs")
}

// A registry is another way for images into the node.
func TestRegistry(t *testing.T) {
	c := cluster.Of(t, cluster.Node(t))
	image := c.Registry + fmt.Sprintf("/smoke:%d", time.Now().UnixNano())
	push(t, c.Registry, image, buildImage(t, image))
	_, kubectl := namespace(t, c)
	kubectl(fmt.Sprintf(web, image, "Always"), "apply", "-f", "-")
	kubectl("", "rollout", "status", "deployment/web", "--timeout", patience)
}

// What a node has pulled from a registry can also be loaded, under a name of its
// own: the kubelet said that such an image was not present.
func TestImageThatWasPulledIsLoadedToo(t *testing.T) {
	c := cluster.Of(t, cluster.Node(t))
	now := time.Now().UnixNano()
	pulled, loaded := c.Registry+fmt.Sprintf("/smoke:%d", now), fmt.Sprintf("stead.local/pulled:%d", now)
	push(t, c.Registry, pulled, buildImage(t, pulled))
	c.Load(t, buildImage(t, loaded))
	_, kubectl := namespace(t, c)
	for _, apply := range []string{fmt.Sprintf(web, pulled, "Always"), fmt.Sprintf(web, loaded, "Never")} {
		kubectl(apply, "apply", "-f", "-")
		kubectl("", "rollout", "status", "deployment/web", "--timeout", patience)
	}
}

// A component that hangs or dies is what tests of failures need.
func TestSignal(t *testing.T) {
	c := cluster.Start(t, "api")
	c.Signal(t, "kube-apiserver", syscall.SIGSTOP)
	if out, err := c.Command("get", "namespaces", "--request-timeout=1s").CombinedOutput(); err == nil {
		t.Errorf("a halted API server answers: %s", out)
	}
	c.Signal(t, "kube-apiserver", syscall.SIGCONT)
	c.Run(t, "get", "namespaces")
	c.Signal(t, "kube-apiserver", syscall.SIGKILL)
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(100 * time.Millisecond) {
		out, err := c.Command("get", "--raw", "/readyz").CombinedOutput()
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("killed, and not back: %v: %s", err, out)
		}
	}
}

func buildImage(t *testing.T, name string) string {
	t.Helper()
	dir := t.TempDir()
	app := filepath.Join(dir, "app")
	cmd := exec.Command("go", "build", "-trimpath", "-o", app, "./testdata/app")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	archive := filepath.Join(dir, "app.tar")
	cluster.Image(t, name, archive, "", "/app="+app)
	return archive
}

func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: time.Minute}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// push speaks as much of the distribution API as it takes: each blob in one
// request, then the manifest.
func push(t *testing.T, registry, image, archive string) {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("tar", "-xf", archive, "-C", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "index.json"))
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct{ MediaType, Digest string }
	}
	if err := json.Unmarshal(text, &index); err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs/sha256/*"))
	if err != nil {
		t.Fatal(err)
	}
	repository, tag, _ := strings.Cut(strings.TrimPrefix(image, registry+"/"), ":")
	base := "http://" + registry + "/v2/" + repository
	for _, b := range blobs {
		send(t, http.MethodPost, base+"/blobs/uploads/?digest=sha256:"+filepath.Base(b), "application/octet-stream", b)
	}
	m := index.Manifests[0]
	send(t, http.MethodPut, base+"/manifests/"+tag, m.MediaType, filepath.Join(dir, "blobs/sha256", strings.TrimPrefix(m.Digest, "sha256:")))
}

func send(t *testing.T, method, url, kind, file string) {
	t.Helper()
	body, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	req, err := http.NewRequest(method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", kind)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusCreated {
		t.Fatalf("%s %s: %s: %s", method, url, resp.Status, answer)
	}
}
