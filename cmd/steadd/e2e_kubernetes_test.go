package main_test

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
)

// What the environments of a manifest promise, on a real cluster. What is
// there of a test is in a namespace of its own.

// cloudstead is a homestead whose project has an environment "dev".
type cloudstead struct {
	*homestead
	c         *cluster.Cluster
	namespace string
}

// newCloudstead makes a project of services, each a line of the manifest. What
// they run is built for pods, as ./service.
func newCloudstead(t *testing.T, kubeconfig, services string) *cloudstead {
	t.Helper()
	s := &cloudstead{c: cluster.Of(t, kubeconfig), namespace: "stead-test-" + strings.ToLower(rand.Text()[:8])}
	t.Cleanup(func() { // after the daemon's end
		_, _ = s.c.Command("delete", "namespace", s.namespace, "--wait=false", "--ignore-not-found").CombinedOutput() // or it is left to whoever looks after the cluster
	})
	forPods(t)
	s.homestead = newHomestead(t, s.manifest(services))
	t.Cleanup(s.endEnvironment)
	text, err := os.ReadFile(filepath.Join(bin, "pod", "service"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s.dir, "service"), text, 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

// manifest is one with these services, and the environment.
func (s *cloudstead) manifest(services string) string {
	load := "ctr"
	if s.c.Containerd != "" {
		load = fmt.Sprintf("ctr -a %s -n %s", s.c.Containerd, s.c.Namespace)
	}
	return fmt.Sprintf("name: kube\nservices:\n%s\nenvironments:\n  dev: {kubeconfig: %s, context: %s, namespace: %s, load: %q, environment: {HOST: 0.0.0.0}}\n",
		services, s.c.Kubeconfig, "stead-clustertest-"+s.c.Name, s.namespace, load)
}

// forPods builds what only these tests need: half a minute without a cache.
func forPods(t *testing.T) {
	t.Helper()
	if err := podBinaries(); err != nil {
		t.Fatal(err)
	}
}

var podBinaries = sync.OnceValue(func() error {
	for _, one := range [][]string{{bin + "/", "./cmd/stead-runtime-kubernetes"}, {filepath.Join(bin, "pod") + "/", "./testdata/service"}} {
		build := exec.Command("go", "build", "-o", one[0], one[1])
		build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w: %s", one[1], err, out)
		}
	}
	return nil
})

// dev runs a command for the environment.
func (s *cloudstead) dev(args ...string) (string, int) {
	return s.stead(append([]string{"--env", "dev"}, args...)...)
}

// do is dev for a command that must work.
func (s *cloudstead) do(args ...string) string {
	s.Helper()
	return s.ok(append([]string{"--env", "dev"}, args...)...)
}

func (s *cloudstead) endEnvironment() {
	if s.Failed() {
		for _, file := range s.logs() {
			text, _ := os.ReadFile(file)
			s.Logf("%s:\n%s", filepath.Base(file), text[max(0, len(text)-6000):])
		}
	}
	if out, code := s.dev("daemon", "stop", "--services"); code != 0 && !strings.Contains(out, "no daemon") {
		s.Errorf("end the environment: %s", out)
	}
	for _, name := range []string{"steadd", "stead-runtime-kubernetes"} {
		s.until(name+" ends", patience, func() bool { return s.process(name) == 0 })
	}
}

// logs are those of the environment's daemon and of its runtime.
func (s *cloudstead) logs() []string {
	var files []string
	_ = filepath.WalkDir(s.home, func(path string, d os.DirEntry, _ error) error {
		if d != nil && (d.Name() == "daemon.log" || d.Name() == "kubernetes.log") {
			files = append(files, path)
		}
		return nil
	})
	return files
}

// kubectl runs kubectl in the namespace.
func (s *cloudstead) kubectl(args ...string) string {
	s.Helper()
	return s.c.Run(s.T, append([]string{"-n", s.namespace}, args...)...)
}

// names of the objects of a kind that are there.
func (s *cloudstead) names(kind string, args ...string) []string {
	s.Helper()
	return strings.Fields(s.kubectl(append([]string{"get", kind, "-o", "jsonpath={.items[*].metadata.name}"}, args...)...))
}

// process is the pid of the environment's daemon, or of its runtime; 0: it does
// not run.
func (s *cloudstead) process(name string) int {
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range files {
		line, err := os.ReadFile(file)
		program, arguments, _ := strings.Cut(string(line), "\x00")
		if err != nil || filepath.Base(program) != name || !strings.Contains(arguments, s.dir+"/") || !strings.Contains(arguments, "--environment\x00dev") {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil && !ended(pid) {
			return pid
		}
	}
	return 0
}

// kill9 kills a process of the environment, when there is one.
func (s *cloudstead) kill9(name string) {
	s.Helper()
	pid := 0
	s.until(name+" runs", patience, func() bool { pid = s.process(name); return pid != 0 }) // it may be on its way
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		s.Fatal(err)
	}
}

// TestKubernetesRenderIsApplied: with the values of secrets what is rendered
// is what kubectl wants; without, it says how to get that.
func TestKubernetesRenderIsApplied(t *testing.T) {
	s := newCloudstead(t, cluster.API(t), `  web: {image: "x:1", ports: {http: 9000}, replicas: 2, environment: {API_TOKEN: "s3cret", LEVEL: debug}}`)
	text := s.do("render")
	if !strings.Contains(text, "kind: Secret") || strings.Contains(text, "czNjcmV0") || !strings.Contains(text, "# the values are left out: --show-secrets") {
		t.Errorf("rendered:\n%s", text)
	}
	s.kubectl("create", "namespace", s.namespace)
	apply := s.c.Command("apply", "-f", "-")
	apply.Stdin = strings.NewReader(s.do("render", "--show-secrets"))
	if out, err := apply.CombinedOutput(); err != nil {
		t.Fatalf("apply: %v: %s", err, out)
	}
	if got := s.kubectl("get", "secrets", "-o", "jsonpath={.items[*].data.API_TOKEN}"); got != "czNjcmV0" {
		t.Errorf("the secret is %q", got)
	}
	for _, kind := range []string{"deployments", "services", "configmaps", "serviceaccounts", "poddisruptionbudgets"} {
		if len(s.names(kind)) == 0 {
			t.Errorf("no %s", kind)
		}
	}
	if out := s.do("diff"); strings.Contains(out, "change Secret") {
		t.Errorf("it differs:\n%s", out)
	}
	s.kubectl("delete", "deployments", "--all") // stead asks for what belongs to them to go first, and nobody is here to do that
}

// podPatience ends a wait for pods of which a busy machine has many.
const podPatience = 3 * time.Minute

// TestKubernetesOutlivesKills: the daemon of an environment and its runtime
// are killed in turn while one generation takes over from another. Whatever
// was under way then converges, nothing is there twice, and no request is lost.
func TestKubernetesOutlivesKills(t *testing.T) {
	s := newCloudstead(t, cluster.Node(t), `  web: {command: ./service -listen, ports: {http: 80}, ready: GET /, replicas: 2, stop: {grace: 5s}}`)
	s.do("up", "-d", "--yes")
	calls := s.callers("http://" + s.kubectl("get", "service", "web", "-o", "jsonpath={.spec.clusterIP}") + "/")
	for round, name := range []string{"steadd", "stead-runtime-kubernetes", "steadd", "stead-runtime-kubernetes"} {
		before := s.generation()
		restart := s.command("--env", "dev", "restart", "web")
		if err := restart.Start(); err != nil {
			t.Fatal(err)
		}
		s.until("a new generation is made", podPatience, func() bool { return len(s.names("deployments")) > 1 })
		time.Sleep(time.Duration(round) * 700 * time.Millisecond) // another moment of the swap each time
		s.kill9(name)
		_ = restart.Wait() // it may have lost its daemon
		s.until("one generation is ready, and the only one", podPatience, func() bool {
			now := s.cloudStatus()["web"]
			return now.Phase == "ready" && now.NextGeneration == 0 && now.Generation == before+1 && len(s.names("deployments")) == 1
		})
		if now := s.names("deployments")[0]; now != fmt.Sprintf("web-%d", before+1) {
			t.Errorf("after the kill of %s there is %s", name, now)
		}
	}
	good, bad := calls()
	t.Logf("%d requests, %d failed", good, len(bad))
	if len(bad) > 0 || good == 0 {
		t.Errorf("%d of %d requests failed: %s", len(bad), good+len(bad), strings.Join(bad[:min(5, len(bad))], "\n"))
	}
	for _, kind := range []string{"services", "poddisruptionbudgets"} {
		if got := s.names(kind); len(got) != 1 {
			t.Errorf("%s: %v", kind, got)
		}
	}
	created := map[string]int{}
	for _, w := range s.c.Writes(t, s.namespace) {
		if w.Resource == "deployments" && w.Sub == "" && w.Verb == "patch" && strings.HasPrefix(w.Agent, "stead") && w.Code == 201 {
			created[w.Name]++
		}
	}
	for name, n := range created {
		if n != 1 {
			t.Errorf("%s was made %d times", name, n)
		}
	}
	if out := s.do("down", "--yes"); len(s.names("deployments")) > 0 {
		t.Errorf("down leaves %v: %s", s.names("deployments"), out)
	}
}

// generation of web that serves.
func (s *cloudstead) generation() int {
	s.Helper()
	return s.cloudStatus()["web"].Generation
}

// cloudStatus is what status says of the environment; nothing while its daemon
// is on its way.
func (s *cloudstead) cloudStatus() map[string]present {
	out, err := s.command("--env", "dev", "status", "--output", "json").Output()
	var answer struct{ Services []present }
	if err != nil || json.Unmarshal(out, &answer) != nil {
		return nil
	}
	services := map[string]present{}
	for _, one := range answer.Services {
		services[one.Name] = one
	}
	return services
}

// callers call url, each time by a new connection, until the function that is
// returned ends them.
func (s *cloudstead) callers(url string) func() (good int, bad []string) {
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	call := func() error {
		answer, err := client.Get(url)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	}
	s.until("the first route is there", podPatience, func() bool { return call() == nil })
	good, bad := 0, []string(nil)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() { // ends by stop
		defer close(done)
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			if err := call(); err != nil {
				bad = append(bad, time.Now().Format(time.TimeOnly)+" "+err.Error())
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

// TestKubernetesAway: a cluster that hangs is told of by status in a moment,
// with since when and what to do; when it is back, so is the present.
func TestKubernetesAway(t *testing.T) {
	c := cluster.Start(t, "control")
	s := newCloudstead(t, c.Kubeconfig, `  web: {image: "x:1", ports: {http: 9000}}`)
	s.dev("up", "-d", "--yes", "--timeout", "2s")                        // nothing runs there, and so it is not ready
	t.Cleanup(func() { c.Signal(t, "kube-apiserver", syscall.SIGCONT) }) // or the environment would not end
	away := func(signal syscall.Signal, is bool) string {
		c.Signal(t, "kube-apiserver", signal)
		out := ""
		s.until("status says whether the cluster is away", patience, func() bool {
			out, _ = s.dev("status")
			return strings.Contains(out, "is away since") == is
		})
		return out
	}
	out := away(syscall.SIGSTOP, true)
	for _, want := range []string{"warning: the cluster at https://127.0.0.1:", "what runs there goes on", "VPN", "kubeconfig", "web"} {
		if !strings.Contains(out, want) {
			t.Errorf("status does not say %q:\n%s", want, out)
		}
	}
	if why, _ := s.dev("why", "web"); !strings.Contains(why, "is away since") {
		t.Errorf("why does not say it:\n%s", why)
	}
	s.kill9("steadd") // nor does a daemon that is new wait for the cluster
	s.kill9("stead-runtime-kubernetes")
	away(syscall.SIGSTOP, true)
	away(syscall.SIGCONT, false)
}

// TestKubernetesWhy: what keeps pods from running is named by why as it is at
// home, with the cluster's own words.
func TestKubernetesWhy(t *testing.T) {
	const services = `  puller: {image: "%s/nowhere/absent:1"}
  crasher: {command: ./service -exit 3}
  eater: {command: ./service -hog 200000000, limits: {memory: 32Mi}}
  giant: {command: ./service, requests: {memory: 4000Gi}}
  fine: {command: ./service}`
	kubeconfig := cluster.Node(t)
	s := newCloudstead(t, kubeconfig, fmt.Sprintf(services, cluster.Of(t, kubeconfig).Registry))
	if out, code := s.dev("up", "-d", "--yes", "--timeout", "1s"); code == 0 {
		t.Errorf("up is content:\n%s", out)
	}
	for service, want := range map[string]string{
		"puller":  "the image cannot be pulled: ",
		"crasher": "exit code 3",
		"eater":   "out of memory",
		"giant":   "no node takes it: 0/1 nodes are available",
		"fine":    "fine is ready",
	} {
		out := ""
		s.until("why "+service+" says "+want, podPatience, func() bool {
			out, _ = s.dev("why", service)
			return strings.Contains(out, want)
		})
		t.Logf("%s", out)
		if strings.Contains(out, "stead logs") {
			t.Errorf("a hint for another daemon:\n%s", out)
		}
	}
	s.kubectl("create", "quota", "none", "--hard=pods=1")
	s.dev("restart", "fine", "--timeout", "1s")
	s.until("why fine says that the quota is used up", podPatience, func() bool {
		out, _ := s.dev("why", "fine")
		return strings.Contains(out, "the namespace's quota is used up") && strings.Contains(out, "exceeded quota: none")
	})
}

// TestKubernetesRestricted: what stead makes is let into a namespace that
// enforces the Restricted pod security standard.
func TestKubernetesRestricted(t *testing.T) {
	s := newCloudstead(t, cluster.Node(t), `  migrate: {command: ./service -exit 0, restart: no}
  web: {command: ./service -listen, ports: {http: 80}, ready: GET /, replicas: 2, depends_on: [migrate]}
  worker: {command: ./service -every 1s}
  shell: {command: ./service, terminal: true}`)
	s.c.Run(t, "create", "namespace", s.namespace)
	s.c.Run(t, "label", "namespace", s.namespace, "pod-security.kubernetes.io/enforce=restricted")
	s.do("up", "-d", "--yes")
	for name, one := range s.cloudStatus() {
		if one.Phase != "ready" && one.Phase != "completed" {
			t.Errorf("%s is %s", name, one.Phase)
		}
	}
}
