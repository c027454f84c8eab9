// Package suite runs the conformance suite over the process runtime in this
// process; cmd/stead-runtime-process runs it over the real program. It is a
// package of its own since the runtime reaps every child of its process, those
// of other tests too.
package suite

import (
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"github.com/stead-dev/stead/plugins/process"
	"github.com/stead-dev/stead/runtime/conformance"
	"github.com/stead-dev/stead/runtime/logs"
)

func TestMain(m *testing.M) { os.Exit(conformance.Main(m)) }

func TestConformance(t *testing.T) {
	conformance.Run(t, conformance.Harness{Processes: true, Serial: true, New: open})
}

func TestConformanceWithoutCgroups(t *testing.T) {
	conformance.Run(t, conformance.Harness{Processes: true, Serial: true, New: func(t *testing.T) conformance.Instance {
		return openWith(t, process.Options{DisableCgroups: true})
	}})
}

func open(t *testing.T) conformance.Instance { return openWith(t, process.Options{}) }

func openWith(t *testing.T, o process.Options) conformance.Instance {
	dir := t.TempDir()
	store := logs.Open(filepath.Join(dir, "logs"), logs.Options{})
	o.Dir, o.Logs, o.Nonce = filepath.Join(dir, "state"), process.LogsIn(store), rand.Text()
	rt, err := process.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		rt.Close()
		store.Close()
	})
	return conformance.Instance{Runtime: rt}
}
