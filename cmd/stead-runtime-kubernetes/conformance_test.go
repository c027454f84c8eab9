package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance"
	"github.com/stead-dev/stead/runtime/plugin"
)

// The variables of a child that is the runtime: with main's flags, but for the
// image, which is there already.
const (
	asRuntime  = "TEST_AS_RUNTIME" // the image
	inDir      = "TEST_DIR"
	kubeconfig = "TEST_KUBECONFIG"
	namespace  = "TEST_NAMESPACE"
)

func TestMain(m *testing.M) {
	image := os.Getenv(asRuntime)
	if image == "" {
		os.Exit(conformance.Main(m))
	}
	err := serve(options{
		dir: os.Getenv(inDir), namespace: os.Getenv(namespace), project: "conformance", environment: "local", exitsKept: suite.ExitsKept,
		target: kubernetes.Target{Kubeconfig: os.Getenv(kubeconfig)},
	}, suite.Loaded(image), slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(plugin.ExitCode(err))
}

// TestKubernetesConformance runs the suite on a real cluster, over a process
// that is killed in the middle of it.
func TestKubernetesConformance(t *testing.T) {
	config := cluster.Node(t)
	guest := suite.Load(t, cluster.Of(t, config))
	h := suite.Harness()
	h.Served = true
	h.New = func(t *testing.T) conformance.Instance { return launch(t, config, guest) }
	conformance.Run(t, h)
}

func launch(t *testing.T, config, guest string) conformance.Instance {
	home, err := os.MkdirTemp("", "sr") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	c, _, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: config})
	if err != nil {
		t.Fatal(err)
	}
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := plugin.LaunchOptions{
		Path: path, Dir: filepath.Join(home, "run"), LogFile: filepath.Join(home, "log"),
		Env: append(os.Environ(), asRuntime+"="+guest, inDir+"="+filepath.Join(home, "run"), kubeconfig+"="+config,
			namespace+"="+suite.Namespace(t, c), "STEAD_HOME="+home, "STEAD_ORPHAN_TTL=60s", "GORACE=atexit_sleep_ms=0"),
	}
	t.Cleanup(func() {
		if text, err := os.ReadFile(o.LogFile); t.Failed() && err == nil {
			t.Logf("the runtime's log:\n%s", text)
		}
	})
	var clients []*plugin.Client
	t.Cleanup(func() { // registered before the suite's own end, and so run after it
		for _, c := range clients {
			c.Close()
		}
	})
	attach := func(t *testing.T) *plugin.Client {
		c, err := plugin.Launch(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		return c
	}
	rt := attach(t)
	return conformance.Instance{Runtime: rt, Dir: o.Dir, Kill: func(t *testing.T) runtime.Runtime {
		if err := syscall.Kill(rt.Description().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-rt.Done()
		return attach(t)
	}}
}
