// Package cluster gives tests a real Kubernetes, which the program of
// plugins/kubernetes/clustertest starts: either the API server alone, to which
// every object is sent and by which none is acted on, or a node that runs pods.
// It needs the standard library only, so that whoever imports it chooses a
// client.
//
// One cluster of a kind is shared by all tests of the machine that want one,
// also by packages that are tested at the same time: each test works in
// namespaces of its own. A minute after the last of them has ended, however it
// ended, the cluster does. Where none can be started the test is skipped, and
// says what it needs.
//
// STEAD_CLUSTERTEST changes that. The path of a kubeconfig that clustertest has
// written: tests of that kind use its cluster and fail, rather than skip, when
// it is not there. "node": a node is started as an API server is without being
// asked; it costs a gigabyte of memory. "off": all are skipped.
//
// All functions may be called at the same time.
package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Cluster is what cluster.json, beside the kubeconfig, tells of a cluster.
// Without a node the last part is empty.
type Cluster struct {
	Name       string
	Tier       string // api, control or node
	Version    string // v1.37.1
	Kubeconfig string // of a cluster-admin
	Kubectl    string // a program
	Server     string // https://…
	Keeper     int    // the process that all of it ends with
	Init       int    // parent of the components
	Lease      string // a Unix socket: the cluster lives while somebody is connected
	Audit      string // file: see Writes
	Logs       string // folder: output of the components
	Services   string // 10.96.0.0/20: ClusterIPs

	Address    string // of the node
	Host       string // of this machine, as pods see it
	Pods       string // 10.244.0.0/24
	Containerd string // its socket, which is reached from here
	Namespace  string // in containerd: k8s.io
	Registry   string // 10.99.0.1:5000: plain HTTP, the same name from here and in the node

	lease net.Conn // of what is shared: open until this process ends
}

// kinds of clusters that tests share.
const (
	api     = "api"
	control = "control"
	node    = "node"
)

// errNeeds is that of a machine on which a cluster cannot be.
var errNeeds = errors.New("needs")

var (
	sharedAPI     = sync.OnceValues(func() (*Cluster, error) { return share(api) })
	sharedControl = sync.OnceValues(func() (*Cluster, error) { return share(control) })
	sharedNode    = sync.OnceValues(func() (*Cluster, error) { return share(node) })
)

// API returns the kubeconfig of etcd and an API server: objects are checked and
// kept, and nothing happens to them. It is up after some five seconds.
func API(t testing.TB) (kubeconfig string) {
	t.Helper()
	return use(t, sharedAPI).Kubeconfig
}

// Control is API with controller manager and scheduler: Deployments make pods,
// what belongs to what is deleted goes too, and no pod ever runs.
func Control(t testing.TB) *Cluster {
	t.Helper()
	return use(t, sharedControl)
}

// Node returns the kubeconfig of a cluster with one node that runs containers.
// This machine reaches its pods and ClusterIPs.
func Node(t testing.TB) (kubeconfig string) {
	t.Helper()
	return use(t, sharedNode).Kubeconfig
}

// Of tells more of the cluster that API, Control or Node has given a kubeconfig of.
func Of(t testing.TB, kubeconfig string) *Cluster {
	t.Helper()
	c, err := read(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Start starts a cluster of that tier (api, control, node) which is the test's
// alone, and so may be broken. It ends with the test.
func Start(t testing.TB, tier string) *Cluster {
	t.Helper()
	if err := possible(tier); errors.Is(err, errNeeds) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%d-%d", tier, os.Getpid(), own.next())
	c, err := up(tier, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := clustertest("down", "-name", name); err != nil {
			t.Errorf("end cluster %s: %v: %s", name, err, out)
		}
	})
	return c
}

// own numbers the clusters of this process.
var own counter

type counter struct {
	mu sync.Mutex
	n  int
}

func (c *counter) next() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
	return c.n
}

func use(t testing.TB, shared func() (*Cluster, error)) *Cluster {
	t.Helper()
	c, err := shared()
	if errors.Is(err, errNeeds) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	return c
}

func share(tier string) (*Cluster, error) {
	if err := possible(tier); err != nil {
		return nil, err
	}
	if given := os.Getenv("STEAD_CLUSTERTEST"); filepath.IsAbs(given) {
		if c, err := read(given); err != nil || c.Tier == tier {
			return c, err
		}
	}
	c, err := up(tier, tier)
	if err != nil {
		return nil, err
	}
	if c.lease, err = net.Dial("unix", c.Lease); err != nil {
		return nil, fmt.Errorf("hold cluster %s: %w", tier, err)
	}
	return c, nil
}

// possible says what a cluster of that tier needs that is not there. Where a
// cluster was given to the tests, what can be found missing is a failure.
func possible(tier string) error {
	given := os.Getenv("STEAD_CLUSTERTEST")
	if given == "off" {
		return fmt.Errorf("%w: STEAD_CLUSTERTEST is off", errNeeds)
	}
	if filepath.IsAbs(given) {
		if c, err := read(given); err != nil || c.Tier == node || c.Tier == tier {
			return err
		}
	}
	if tier == node && given != node {
		return fmt.Errorf("%w: a cluster with a node: make cluster, or STEAD_CLUSTERTEST=node", errNeeds)
	}
	if out, err := clustertest("ready", "-tier", tier); err != nil {
		return fmt.Errorf("%w: %s", errNeeds, strings.TrimSpace(out+" "+hint(err)))
	}
	return nil
}

func hint(err error) string {
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return ""
	}
	return err.Error() + ": make cluster-build"
}

func up(tier, name string) (*Cluster, error) {
	out, err := clustertest("up", "-tier", tier, "-name", name)
	if err != nil {
		return nil, fmt.Errorf("start cluster %s: %w\n%s", name, err, out)
	}
	_, path, _ := strings.Cut(out, "KUBECONFIG=")
	path, _, _ = strings.Cut(path, " ")
	return read(path)
}

func read(kubeconfig string) (*Cluster, error) {
	text, err := os.ReadFile(filepath.Join(filepath.Dir(kubeconfig), "cluster.json"))
	if err != nil {
		return nil, fmt.Errorf("the cluster of %s: %w", kubeconfig, err)
	}
	c := &Cluster{}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("the cluster of %s: %w", kubeconfig, err)
	}
	return c, nil
}

// clustertest runs the program where make has left it: tests run in their
// package's folder, somewhere below the root.
func clustertest(args ...string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	const program = "bin/tools/clustertest"
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if path := filepath.Join(dir, program); executable(path) {
			out, err := exec.Command(path, args...).CombinedOutput()
			return string(out), err
		}
	}
	return "", fmt.Errorf("%s was not found in a folder above", program)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}
