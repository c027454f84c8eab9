package suite_test

import (
	"crypto/rand"
	"log/slog"
	"os"
	"testing"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime/conformance"
)

func TestMain(m *testing.M) { os.Exit(conformance.Main(m)) }

// TestConformanceOnNode runs the suite on a real cluster, in process.
func TestConformanceOnNode(t *testing.T) {
	kubeconfig := cluster.Node(t)
	guest := suite.Load(t, cluster.Of(t, kubeconfig))
	h := suite.Harness()
	h.New = func(t *testing.T) conformance.Instance {
		c, config, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: kubeconfig})
		if err != nil {
			t.Fatal(err)
		}
		rt, err := kubernetes.New(kubernetes.Options{
			Client: c, Config: config, Namespace: suite.Namespace(t, c), Environment: "local", Project: "conformance",
			Packer: suite.Loaded(guest), Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Nonce: rand.Text(), ExitsKept: suite.ExitsKept,
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(rt.Close)
		return conformance.Instance{Runtime: rt}
	}
	conformance.Run(t, h)
}
