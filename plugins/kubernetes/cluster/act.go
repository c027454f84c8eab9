package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Run runs kubectl and returns what it prints; the test ends when it fails.
func (c *Cluster) Run(t testing.TB, args ...string) string {
	t.Helper()
	out, err := c.Command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("kubectl %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Command is kubectl as an admin of the cluster.
func (c *Cluster) Command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.Kubectl, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig, "KUBECACHEDIR="+filepath.Join(filepath.Dir(c.Kubeconfig), "cache"))
	return cmd
}

// Load puts images, OCI or Docker archives, into the node's containerd: pods
// have them without a registry.
func (c *Cluster) Load(t testing.TB, archives ...string) {
	t.Helper()
	if c.Containerd == "" {
		t.Fatalf("cluster %s has no node to load images into", c.Name)
	}
	for _, a := range archives {
		out, err := exec.Command("ctr", "-a", c.Containerd, "-n", c.Namespace, "images", "import", a).CombinedOutput()
		if err != nil {
			t.Fatalf("load %s: %v: %s", a, err, out)
		}
	}
}

// Image writes an archive for Load: an image of static binaries, each given as
// "/path/in/image=file", of which the first is run. An empty signal, by which
// it is ended, is SIGTERM.
func Image(t testing.TB, name, archive, signal string, files ...string) {
	t.Helper()
	if out, err := clustertest(append([]string{"image", "-signal", signal, name, archive}, files...)...); err != nil {
		t.Fatalf("write image %s: %v: %s", name, err, out)
	}
}

// Signal sends a signal to a component, "kube-apiserver" for example: SIGSTOP
// and SIGCONT make it hang for a while. One that ends is started again after a
// second. It is for clusters of Start.
func (c *Cluster) Signal(t testing.TB, component string, signal syscall.Signal) {
	t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", c.Init))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range tasks {
		text, err := os.ReadFile(f)
		if err != nil {
			continue // a thread that has ended
		}
		for _, child := range strings.Fields(string(text)) {
			line, err := os.ReadFile("/proc/" + child + "/cmdline")
			if name, _, _ := strings.Cut(string(line), "\x00"); err != nil || name != component {
				continue
			}
			pid, err := strconv.Atoi(child)
			if err != nil {
				t.Fatal(err)
			}
			if err := syscall.Kill(pid, signal); err != nil {
				t.Fatalf("signal %s: %v", component, err)
			}
			return
		}
	}
	t.Fatalf("cluster %s has no process %s", c.Name, component)
}

// Write is a request that may have changed something, from the audit log. What
// the cluster writes to keep itself going (leases, events, the node's status)
// is not in it, and neither is what was only read.
type Write struct {
	Verb      string // create, update, patch, delete, deletecollection
	User      string
	Agent     string // User-Agent
	Resource  string // deployments
	Sub       string // subresource: status, scale, exec …
	Namespace string
	Name      string
	Code      int // HTTP status of the answer
	Time      time.Time
}

// Writes returns all requests to the namespace that were answered so far, of
// everybody, in the order of the answers; with "" those of all namespaces. The
// log holds the last 200 MB, so of a cluster that is hours old not everything.
func (c *Cluster) Writes(t testing.TB, namespace string) []Write {
	t.Helper()
	f, err := os.Open(c.Audit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []Write
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20) // a line is some kilobytes
	for lines.Scan() {
		w, err := parseWrite(lines.Bytes())
		if err != nil {
			continue // the last line, half written
		}
		if namespace == "" || w.Namespace == namespace {
			all = append(all, w)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func parseWrite(line []byte) (Write, error) {
	var e struct {
		Verb      string
		User      struct{ Username string }
		UserAgent string
		ObjectRef struct{ Resource, Subresource, Namespace, Name string }
		Status    struct {
			Code int `json:"code"`
		} `json:"responseStatus"`
		Time time.Time `json:"requestReceivedTimestamp"`
	}
	err := json.Unmarshal(line, &e)
	r := e.ObjectRef
	return Write{e.Verb, e.User.Username, e.UserAgent, r.Resource, r.Subresource, r.Namespace, r.Name, e.Status.Code, e.Time}, err
}
