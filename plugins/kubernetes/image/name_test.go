package image

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func nameOf(t *testing.T, p *Packer, spec runtime.Spec) string {
	t.Helper()
	reference, err := p.Name(context.Background(), spec)
	if err != nil {
		t.Fatalf("Name: %v (hint: %s)", err, runtime.Hint(err))
	}
	return reference
}

// TestNameIsWhatPackReturns, before it does so and afterwards, for a process
// that has packed nothing too; and of all that nobody hears.
func TestNameIsWhatPackReturns(t *testing.T) {
	r := newRegistry(t)
	node, command := newFakeNode(t)
	asked := 0
	heard := func() int {
		asked += r.requests()
		calls, err := os.ReadFile(filepath.Join(node, "calls"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return asked + len(calls)
	}
	for name, o := range map[string]Options{
		"loaded":              {Load: command},
		"pushed":              {Registry: r.address + "/team/"},
		"pushed in the clear": {Registry: "http://" + r.address},
	} {
		t.Run(name, func(t *testing.T) {
			dir := project(t)
			write(t, dir, "bin/api.linux-arm64", arm64("one"), 0o755)
			spec := specOf(dir)
			spec.ID.Project, spec.ID.Service = "Shop_1", "api.v2"
			p := newPacker(t, o)
			for _, spec.Package.Platforms = range [][]string{{"linux/amd64"}, {"linux/arm64", "linux/amd64"}} {
				before := heard()
				first := nameOf(t, p, spec)
				if heard() != before {
					t.Error("somebody was asked")
				}
				if s := publish(t, p, spec); s.Reference != first {
					t.Errorf("Name said %s, and it is %s", first, s.Reference)
				}
				spec.ID.Number++
				if again := nameOf(t, newPacker(t, o), spec); again != first {
					t.Errorf("another process says %s, and it is %s", again, first)
				}
			}
			was := nameOf(t, p, spec)
			write(t, dir, "bin/api", amd64("two"), 0o755)
			now := nameOf(t, p, spec)
			if s := publish(t, p, spec); now == was || s.Reference != now {
				t.Errorf("of another program Name says %s after %s, and it is %s", now, was, s.Reference)
			}
		})
	}
}

// TestNameFetchesNoBase: one that was never fetched is not there; of one that
// was, its last meaning counts, however long ago that was asked for. The next
// Pack asks as if nobody had named anything.
func TestNameFetchesNoBase(t *testing.T) {
	r := newRegistry(t)
	publishBase(t, r, "base:1", "")
	p := newPacker(t, Options{Registry: r.address})
	spec := scripted(t, r.address+"/base:1")
	r.requests()
	if got, err := p.Name(context.Background(), spec); !errors.Is(err, runtime.NotFound) || r.requests() != 0 {
		t.Errorf("Name = %q, %v", got, err)
	}
	first := publish(t, p, spec)
	moved := publishBase(t, r, "base:1", "")
	for key := range p.bases.asked {
		p.bases.asked[key] = time.Now().Add(-2 * baseFresh)
	}
	p.bases.turn <- struct{}{} // somebody pulls, and takes long
	r.requests()
	for _, p := range []*Packer{p, newPacker(t, p.o)} {
		if got := nameOf(t, p, spec); got != first.Reference || r.requests() != 0 {
			t.Errorf("Name = %s, want %s", got, first.Reference)
		}
	}
	<-p.bases.turn
	if s := publish(t, p, spec); s.Platforms[0].BaseDigest != moved.String() {
		t.Errorf("base %s, want %s: Pack did not ask", s.Platforms[0].BaseDigest, moved)
	}
}

func TestNameOfWhatIsNotThere(t *testing.T) {
	_, command := newFakeNode(t)
	loaded := Options{Load: command}
	for name, c := range map[string]struct {
		o      Options
		change func(spec *runtime.Spec)
		class  error
	}{
		"not built":   {loaded, func(s *runtime.Spec) { s.Command = []string{"./bin/web"} }, runtime.Invalid},
		"no file":     {loaded, func(s *runtime.Spec) { s.Package.Files = []string{"absent"} }, runtime.Invalid},
		"no package":  {loaded, func(s *runtime.Spec) { s.Package = nil }, runtime.Invalid},
		"nowhere":     {Options{}, func(*runtime.Spec) {}, runtime.Invalid},
		"no registry": {Options{Registry: "not a registry"}, func(*runtime.Spec) {}, runtime.Invalid},
		"no cluster": {Options{Load: command, Platforms: func(context.Context) ([]string, error) { return nil, runtime.Unavailable }},
			func(s *runtime.Spec) { s.Package.Platforms = nil }, runtime.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			spec := specOf(project(t))
			c.change(&spec)
			if got, err := newPacker(t, c.o).Name(context.Background(), spec); !errors.Is(err, c.class) {
				t.Errorf("Name = %q, %v", got, err)
			}
		})
	}
}
