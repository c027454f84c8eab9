//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// tiers are ordered: what one has, those above it have too.
var tiers = map[string]int{"api": 0, "control": 1, "node": 2}

// nets is how many clusters with nodes a machine may have: addresses are laid
// out for so many.
const nets = 16

// cluster is what cluster.json tells, beside the kubeconfig. Package
// plugins/kubernetes/cluster reads it.
type cluster struct {
	Name       string `json:"name"`
	Tier       string `json:"tier"`
	Version    string `json:"version"`    // of Kubernetes
	Dir        string `json:"dir"`        // holds all of it, and is deleted with it
	Kubeconfig string `json:"kubeconfig"` // of a cluster-admin
	Kubectl    string `json:"kubectl"`
	Server     string `json:"server"`
	Keeper     int    `json:"keeper"` // the process that all of it ends with
	Init       int    `json:"init"`   // parent of the components, the node's first process
	Lease      string `json:"lease"`  // Unix socket: the cluster lives while somebody is connected
	Audit      string `json:"audit"`  // the API server's audit log: one line per write, level Metadata
	Logs       string `json:"logs"`   // output of the components
	Services   string `json:"services"`
	Times      []lap  `json:"times"`
	Linger     string `json:"linger"`
	*node             // nil without one
	binaries   map[string]string
	reserved   *os.File // holds the addresses
}

// node is the part of cluster.json that there is with a node only. The host
// reaches pods and services as the node does.
type node struct {
	Net        int    `json:"net"`
	Address    string `json:"address"` // of the node
	Host       string `json:"host"`    // of this machine, seen from the node
	Link       string `json:"link"`
	Pods       string `json:"pods"`
	Containerd string `json:"containerd"` // its socket, for ctr -a
	Namespace  string `json:"namespace"`  // in containerd
	Registry   string `json:"registry"`   // HTTP; the same name from here and in the node
	CgroupRoot string `json:"cgroupRoot"`
}

// lap is when a stage of the start was reached.
type lap struct {
	Reached string  `json:"reached"`
	Seconds float64 `json:"seconds"`
}

func newNode(net int, dir string) *node {
	link := fmt.Sprintf("steadk8s%d", net)
	return &node{
		Net:        net,
		Address:    fmt.Sprintf("10.99.%d.1", net),
		Host:       fmt.Sprintf("10.99.%d.254", net),
		Link:       link,
		Pods:       fmt.Sprintf("10.244.%d.0/24", net),
		Containerd: filepath.Join(dir, "containerd.sock"),
		Namespace:  "k8s.io", // where the kubelet looks
		Registry:   fmt.Sprintf("10.99.%d.1:5000", net),
		CgroupRoot: "/" + link,
	}
}

// services is the range of the n-th cluster: 4094 addresses.
func services(n int) string { return fmt.Sprintf("10.96.%d.0/20", n*16) }

// firstService is the address of the API server's own Service.
func (c *cluster) firstService() string {
	if c.node == nil {
		return "10.96.0.1"
	}
	return fmt.Sprintf("10.96.%d.1", c.Net*16)
}

// has reports whether the cluster is of that tier, or above it.
func (c *cluster) has(tier string) bool { return tiers[c.Tier] >= tiers[tier] }

func (c *cluster) path(elements ...string) string {
	return filepath.Join(append([]string{c.Dir}, elements...)...)
}

func (c *cluster) certificate(name string) string { return c.path("certs", name) }

// runs is the folder of all clusters of this user. It is short, for the sake of
// the sockets in it, and not below /var/lib, which nodes do not see.
func runs() (string, error) {
	dir := os.Getenv("STEAD_CLUSTERTEST_RUN")
	if dir == "" {
		dir = "/tmp/stead-clustertest-" + strconv.Itoa(os.Getuid())
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", err
	}
	if s, ok := info.Sys().(*syscall.Stat_t); !ok || !info.IsDir() || int(s.Uid) != os.Getuid() || info.Mode().Perm()&0o022 != 0 {
		return "", fmt.Errorf("%s is not a folder that only this user may write: choose another by STEAD_CLUSTERTEST_RUN", dir)
	}
	return dir, nil
}

func dirOf(name string) (string, error) {
	dir, err := runs()
	if err == nil && (name == "" || name != filepath.Base(name) || len(name) > 32 || name[0] == '.') {
		err = fmt.Errorf("%q is no name for a cluster: it is a folder's, of 32 characters at most", name)
	}
	return filepath.Join(dir, name), err
}

// load reads the cluster.json of a cluster that is up, and that one only.
func load(name string) (*cluster, error) {
	dir, err := dirOf(name)
	if err != nil {
		return nil, err
	}
	conn, err := dial(dir)
	if err != nil {
		return nil, fmt.Errorf("no cluster %s is up: start it by clustertest up", name)
	}
	defer conn.Close()
	return read(dir)
}

func read(dir string) (*cluster, error) {
	text, err := os.ReadFile(filepath.Join(dir, "cluster.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the cluster in %s is not ready", dir)
	} else if err != nil {
		return nil, err
	}
	c := &cluster{node: &node{}}
	if err := json.Unmarshal(text, c); err != nil {
		return nil, fmt.Errorf("%s/cluster.json: %w", dir, err)
	}
	if c.Address == "" {
		c.node = nil
	}
	return c, nil
}

// publish writes cluster.json, which says that the cluster is ready.
func (c *cluster) publish() error {
	text, err := json.MarshalIndent(c, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path("cluster.new"), append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(c.path("cluster.new"), c.path("cluster.json"))
}

// lock takes the file's lock, and waits for it. The kernel gives it back when
// the process ends.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { f.Close() }, nil
}
