package suite_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
)

const insideImage = "stead.local/stead:inside"

const insideManifest = `name: shop
environments:
  prod: {namespace: NAMESPACE}
services:
  web:
    image: GUEST
    command: [/guest, serve, 0s]
    ports: {http: 8080}
    ready: GET /ok
    environment: {STEAD_CONFORMANCE_HOST: 0.0.0.0}
`

// TestInsideTheCluster: stead as it is shipped for clusters, with the Role and
// in a namespace that enforces the Restricted standard. One of its two daemons
// brings the manifest up; when that is killed, the other goes on, and what runs
// is not touched.
func TestInsideTheCluster(t *testing.T) {
	kubeconfig := cluster.Node(t)
	c := cluster.Of(t, kubeconfig)
	guest := suite.Load(t, c)
	loadStead(t, c)
	api, _, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	namespace := suite.Namespace(t, api)
	in := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(c.Run(t, append([]string{"-n", namespace}, args...)...))
	}
	c.Run(t, "create", "namespace", namespace)
	c.Run(t, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
	manifest := filepath.Join(t.TempDir(), "stead.yaml")
	write(t, manifest, strings.NewReplacer("NAMESPACE", namespace, "GUEST", guest).Replace(insideManifest))
	in("create", "configmap", "stead", "--from-file=stead.yaml="+manifest)
	const shipped = "../../../packaging/kubernetes/"
	in("apply", "-f", shipped+"role.yaml", "-f", shipped+"account.yaml")
	text, err := os.ReadFile(shipped + "deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	deployment := filepath.Join(t.TempDir(), "deployment.yaml")
	write(t, deployment, strings.Replace(string(text), "image: stead:latest", "image: "+insideImage, 1))
	in("apply", "-f", deployment)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(in("logs", "-l", "app.kubernetes.io/name=stead", "--prefix", "--tail=50"))
		}
	})
	in("rollout", "status", "deployment/stead", "--timeout=120s")
	eventually(t, "web runs", func() bool {
		out, err := c.Command("-n", namespace, "wait", "--for=condition=Available", "deployment/web-1", "--timeout=10s").CombinedOutput()
		return err == nil && len(out) > 0
	})

	holder := func() string {
		who, _, _ := strings.Cut(in("get", "lease", kubernetes.LeaseName("shop"), "-o", "jsonpath={.spec.holderIdentity}"), "/")
		return who
	}
	pods := func() string {
		return in("get", "pods", "-l", "stead.dev/service=web", "-o", "jsonpath={range .items[*]}{.metadata.uid} {.status.containerStatuses[0].restartCount}{end}")
	}
	first, before := holder(), pods()
	other := ""
	for _, name := range strings.Fields(in("get", "pods", "-l", "app.kubernetes.io/name=stead", "-o", "jsonpath={.items[*].metadata.name}")) {
		if name != first {
			other = name
		}
	}
	if out, err := c.Command("-n", namespace, "exec", other, "--", "/stead", "--env", "prod", "up", "-f", "/etc/stead/stead.yaml").CombinedOutput(); err == nil ||
		!strings.Contains(string(out), "shop in prod is driven by "+first) {
		t.Errorf("the one that stands by: %v: %s", err, out)
	}
	in("delete", "pod", first, "--grace-period=0", "--force")
	eventually(t, "another drives", func() bool { who := holder(); return who != "" && who != first })
	second := holder()
	eventually(t, "what it drives is known to it", func() bool {
		out, err := c.Command("-n", namespace, "exec", second, "--", "/stead", "--env", "prod", "up", "-f", "/etc/stead/stead.yaml").CombinedOutput()
		return err == nil && strings.Contains(string(out), "1 of 1 service up")
	})
	if after := pods(); after != before {
		t.Errorf("what ran was %q and is %q", before, after)
	}
}

// loadStead puts an image of the binaries of this tree on the node.
func loadStead(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	dir := t.TempDir()
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", dir+"/",
		"github.com/stead-dev/stead/cmd/stead", "github.com/stead-dev/stead/cmd/steadd",
		"github.com/stead-dev/stead/cmd/stead-runtime-process", "github.com/stead-dev/stead/cmd/stead-runtime-kubernetes")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	files := []string{}
	for _, name := range []string{"steadd", "stead", "stead-runtime-process", "stead-runtime-kubernetes"} {
		files = append(files, "/"+name+"="+filepath.Join(dir, name))
	}
	archive := filepath.Join(dir, "stead.tar")
	cluster.Image(t, insideImage, archive, "", files...)
	c.Load(t, archive)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until it is so; two minutes are there to end a hang.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !is(); time.Sleep(500 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(what + " does not come about")
		}
	}
}
