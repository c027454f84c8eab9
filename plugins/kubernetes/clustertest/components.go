//go:build linux

package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

//go:embed conf
var conf embed.FS

const (
	cniPlugins = "/usr/lib/cni" // Debian's
	sandbox    = "stead.local/pause:1"
)

// component is one process of a cluster.
type component struct {
	Name string   `json:"name"` // also its argv[0], by which kube knows what to be
	Path string   `json:"path"`
	Args []string `json:"args"`
}

// plan is what init runs: stage after stage, each when the keeper says so.
type plan struct {
	Node   *node         `json:"node"` // nil: in the machine's own namespaces
	Dir    string        `json:"dir"`
	Stages [][]component `json:"stages"`
}

// ports are those of this machine that an API server without a node takes.
type ports struct{ etcd, peer, api int }

func (c *cluster) plan(p ports) plan {
	first := []component{c.etcd(p), c.apiserver(p)}
	var second []component
	if c.has("control") {
		second = append(second, c.controllers(), c.scheduler())
	}
	if c.node != nil {
		first = append(first, component{"containerd", "containerd", []string{"--config", c.path("conf", "containerd.toml")}},
			component{"registry", "/proc/self/exe", []string{"registry", c.Registry, c.path("registry")}})
		second = append(second, c.kubelet(), c.kube("kube-proxy", "--config", c.path("conf", "kube-proxy.yaml"), "--hostname-override", nodeName),
			component{"dns", c.binaries["dns"], []string{"-conf", c.path("conf", "Corefile"), "-quiet"}})
	}
	return plan{c.node, c.Dir, [][]component{first, second}}
}

func (c *cluster) kube(name string, args ...string) component {
	return component{name, c.binaries["kube"], args}
}

// etcd does not wait for the disk: nothing of it is to survive the machine.
func (c *cluster) etcd(p ports) component {
	client, peer := fmt.Sprintf("http://127.0.0.1:%d", p.etcd), fmt.Sprintf("http://127.0.0.1:%d", p.peer)
	return c.kube("etcd", "--data-dir", c.path("etcd"), "--unsafe-no-fsync", "--log-level", "warn",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer)
}

func (c *cluster) apiserver(p ports) component {
	args := []string{
		"--etcd-servers", fmt.Sprintf("http://127.0.0.1:%d", p.etcd), "--secure-port", fmt.Sprint(p.api),
		"--service-cluster-ip-range", c.Services,
		"--tls-cert-file", c.certificate("apiserver.crt"), "--tls-private-key-file", c.certificate("apiserver.key"),
		"--client-ca-file", c.certificate("ca.crt"),
		"--service-account-issuer", "https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file", c.certificate("sa.pub"), "--service-account-signing-key-file", c.certificate("sa.key"),
		"--requestheader-client-ca-file", c.certificate("ca.crt"), "--requestheader-allowed-names", "front-proxy-client",
		"--requestheader-username-headers", "X-Remote-User", "--requestheader-group-headers", "X-Remote-Group",
		"--requestheader-extra-headers-prefix", "X-Remote-Extra-",
		"--proxy-client-cert-file", c.certificate("front-proxy-client.crt"), "--proxy-client-key-file", c.certificate("front-proxy-client.key"),
		"--authorization-mode", "Node,RBAC", "--allow-privileged",
		"--audit-policy-file", c.path("conf", "audit.yaml"), "--audit-log-path", c.Audit,
		"--audit-log-maxsize", "200", "--audit-log-maxbackup", "1",
	}
	if c.node != nil {
		args = append(args, "--advertise-address", c.Address, "--enable-admission-plugins", "NodeRestriction",
			"--kubelet-client-certificate", c.certificate("apiserver-kubelet-client.crt"),
			"--kubelet-client-key", c.certificate("apiserver-kubelet-client.key"),
			"--kubelet-certificate-authority", c.certificate("ca.crt"), "--kubelet-preferred-address-types", "InternalIP")
	} else {
		args = append(args, "--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--endpoint-reconciler-type", "none")
	}
	if !c.has("control") { // nobody would make the accounts that pods are to have
		args = append(args, "--disable-admission-plugins", "ServiceAccount")
	}
	return c.kube("kube-apiserver", args...)
}

func (c *cluster) controllers() component {
	return c.kube("kube-controller-manager", "--kubeconfig", c.certificate("controller-manager.kubeconfig"), "--secure-port", "0",
		"--use-service-account-credentials", "--service-account-private-key-file", c.certificate("sa.key"),
		"--root-ca-file", c.certificate("ca.crt"), "--cluster-signing-cert-file", c.certificate("ca.crt"),
		"--cluster-signing-key-file", c.certificate("ca.key"), "--leader-elect=false", "--allocate-node-cidrs=false",
		"--kube-api-qps", "200", "--kube-api-burst", "400") // hundreds of services at once are a test too
}

func (c *cluster) scheduler() component {
	return c.kube("kube-scheduler", "--kubeconfig", c.certificate("scheduler.kubeconfig"), "--secure-port", "0", "--leader-elect=false")
}

func (c *cluster) kubelet() component {
	return c.kube("kubelet", "--config", c.path("conf", "kubelet.yaml"), "--kubeconfig", c.certificate("kubelet.kubeconfig"),
		"--root-dir", c.path("kubelet"), "--hostname-override", nodeName, "--node-ip", c.Address)
}

// configure writes what the components read.
func (c *cluster) configure() error {
	files := map[string]string{"audit.yaml": "audit.yaml"}
	if c.node != nil {
		for _, name := range []string{"kubelet.yaml", "kube-proxy.yaml", "containerd.toml", "Corefile"} {
			files[name] = name
		}
		files["cni.conflist"] = "cni/10-stead.conflist"
		files["hosts.toml"] = "hosts/" + c.Registry + "/hosts.toml"
	}
	values := struct {
		*cluster
		Sandbox, CNI string
	}{c, sandbox, cniPlugins}
	for from, to := range files {
		t, err := template.ParseFS(conf, "conf/"+from)
		if err != nil {
			return err
		}
		path := c.path("conf", to)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if err := t.Execute(f, values); err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	return nil
}
