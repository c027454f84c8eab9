package watch_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/stead-dev/stead/daemon/watch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that hangs.
const patience = 30 * time.Second

// bench is a project in a directory of its own.
type bench struct {
	*testing.T
	w     *watch.Watcher
	dir   string
	marks int
	last  watch.Batch
}

func newBench(t *testing.T, options watch.Options) *bench {
	t.Helper()
	w := watch.New(options)
	t.Cleanup(w.Close)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return &bench{T: t, w: w, dir: filepath.Join(dir, "shop")}
}

// watching makes a bench with files, all of which are watched and known.
func watching(t *testing.T, files ...string) *bench {
	t.Helper()
	b := newBench(t, watch.Options{})
	b.write(files...)
	b.set(watch.Root{Dir: b.dir, Gitignore: true})
	b.warm()
	return b
}

func (b *bench) set(roots ...watch.Root) {
	b.Helper()
	if err := b.w.Set("shop", roots); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) warm() {
	b.Helper()
	b.until("all files are hashed", b.w.Warmed)
}

func (b *bench) until(what string, done func() bool) {
	b.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			b.Fatalf("waited in vain: %s", what)
		}
	}
}

func (b *bench) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	if strings.HasPrefix(name, "../") { // also before there is b.dir
		return filepath.Join(b.dir, name)
	}
	return b.dir + "/" + name
}

// write makes files; the content is behind a =, or the name.
func (b *bench) write(files ...string) {
	b.Helper()
	for _, f := range files {
		name, content, ok := strings.Cut(f, "=")
		if !ok {
			content = name
		}
		if err := os.MkdirAll(filepath.Dir(b.path(name)), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(b.path(name), []byte(content), 0o644); err != nil {
			b.Fatal(err)
		}
	}
}

// rewrite writes the same bytes, without truncating the file first.
func (b *bench) rewrite(name string) {
	b.Helper()
	content, err := os.ReadFile(b.path(name))
	b.must(err)
	f, err := os.OpenFile(b.path(name), os.O_WRONLY, 0)
	b.must(err)
	_, err = f.Write(content)
	b.must(err)
	b.must(f.Close())
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) rename(from, to string) {
	b.Helper()
	b.must(os.Rename(b.path(from), b.path(to)))
}

func (b *bench) next() watch.Batch {
	b.Helper()
	select {
	case b.last = <-b.w.Batches():
		b.Logf("batch: %+v", b.last.Changes)
		return b.last
	case <-time.After(patience):
		b.Fatal("no batch came")
	}
	return watch.Batch{}
}

func (b *bench) warning(trouble watch.Trouble) watch.Warning {
	b.Helper()
	for end := time.After(patience); ; {
		select {
		case w := <-b.w.Warnings():
			if w.Trouble == trouble {
				return w
			}
			b.Logf("warning: %s", w.Text)
		case <-end:
			b.Fatalf("no warning %d came", trouble)
		}
	}
}

type changes map[string]watch.Kind

// add puts the changes of a batch on top, with paths relative to the project.
func (c changes) add(b *bench, batch watch.Batch) {
	for _, change := range batch.Changes {
		name := strings.TrimPrefix(change.Path, b.dir+"/")
		before, known := c[name]
		switch {
		case known && before == watch.Created && change.Kind == watch.Removed:
			delete(c, name)
		case known && before == watch.Created:
		case known && before == watch.Removed && change.Kind == watch.Created:
			c[name] = watch.Written
		default:
			c[name] = change.Kind
		}
	}
}

// expect makes a last change, so that all that comes before it is known to have
// been told, and compares. It returns how many batches there were.
//
// Written files of may are no difference: what vanishes for a moment is nothing
// when it is back quickly, and a machine may be slow.
func (b *bench) expect(want changes, may ...string) (batches int) {
	b.Helper()
	b.marks++
	mark := fmt.Sprintf("mark-%d", b.marks)
	b.write(mark + "=") // empty, so that it is made in one step
	want = maps.Clone(want)
	if want == nil {
		want = changes{}
	}
	want[mark] = watch.Created
	got := changes{}
	for {
		batch := b.next()
		batches++
		got.add(b, batch)
		if _, ok := got[mark]; ok {
			break
		}
	}
	for _, name := range may {
		if kind, ok := got[name]; ok && kind == watch.Written {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		b.Errorf("changes (-want +got):\n%s", diff)
	}
	return batches
}

// wait waits until all of these have been told, in whatever order, and with
// whatever else.
func (b *bench) wait(want changes) {
	b.Helper()
	got := changes{}
	for missing := maps.Clone(want); len(missing) > 0; {
		got.add(b, b.next())
		maps.DeleteFunc(missing, func(name string, want watch.Kind) bool {
			kind, ok := got[name]
			return ok && kind == want
		})
	}
}

func TestChanges(t *testing.T) {
	b := watching(t, "a.go", "b.go", "pkg/c.go")
	b.write("a.go=more", "pkg/new.go")
	b.must(os.Remove(b.path("b.go")))
	b.expect(changes{"a.go": watch.Written, "pkg/new.go": watch.Created, "b.go": watch.Removed})
	if b.last.Project != "shop" || b.last.First.IsZero() || b.last.Last.Before(b.last.First) {
		t.Errorf("the batch is %+v", b.last)
	}
}

// A save that changes nothing is nothing: also the first one.
func TestNothing(t *testing.T) {
	b := watching(t, "a.go", "b.go", "c.go", "d.go")
	now := time.Now().Add(time.Hour)
	b.must(os.Chtimes(b.path("a.go"), now, now))
	b.rewrite("b.go")
	b.write("made")
	b.must(os.Remove(b.path("made")))
	b.must(os.Chmod(b.path("c.go"), 0o600))
	b.write("tmp=d.go")
	b.rename("tmp", "d.go")
	b.expect(nil)
	b.write("b.go=B.go") // as large as before
	b.expect(changes{"b.go": watch.Written})
	b.write("b.go=b.go") // as it was at first, but not as it was last
	b.expect(changes{"b.go": watch.Written})
}

func TestNewTrees(t *testing.T) {
	b := watching(t, "a.go")
	want := changes{}
	for i := range 20 {
		name := fmt.Sprintf("x%d/y/z/f.go", i)
		b.write(name)
		want[name] = watch.Created
	}
	b.expect(want)
	b.write("x7/y/z/f.go=other", "x7/y/g.go")
	b.expect(changes{"x7/y/z/f.go": watch.Written, "x7/y/g.go": watch.Created})
	b.must(os.RemoveAll(b.path("x7")))
	b.expect(changes{"x7/y/z/f.go": watch.Removed, "x7/y/g.go": watch.Removed})
}

func TestRenamedDirectory(t *testing.T) {
	b := watching(t, "old/a.go", "old/sub/b.go", "other/c.go")
	b.rename("old", "new")
	b.expect(changes{"old/a.go": watch.Removed, "old/sub/b.go": watch.Removed, "new/a.go": watch.Created, "new/sub/b.go": watch.Created})
	b.write("new/sub/b.go=1")
	b.expect(changes{"new/sub/b.go": watch.Written})
	b.write("old/a.go=2") // another directory of the old name
	b.expect(changes{"old/a.go": watch.Created})
	b.rename("new", "other/new")
	b.write("other/new/sub/b.go=3")
	b.expect(changes{"new/a.go": watch.Removed, "new/sub/b.go": watch.Removed, "other/new/a.go": watch.Created, "other/new/sub/b.go": watch.Created})
	b.rename("old", "swap")
	b.rename("other", "old")
	b.rename("swap", "other")
	b.write("other/a.go=4", "old/new/sub/b.go=5")
	b.expect(changes{"old/a.go": watch.Removed, "other/c.go": watch.Removed, "other/new/a.go": watch.Removed, "other/new/sub/b.go": watch.Removed,
		"other/a.go": watch.Created, "old/c.go": watch.Created, "old/new/a.go": watch.Created, "old/new/sub/b.go": watch.Created})
	b.write("old/new/sub/b.go=6")
	b.expect(changes{"old/new/sub/b.go": watch.Written})
}

// A directory that is moved away and back within one save is nothing.
func TestThereAndBack(t *testing.T) {
	b := watching(t, "pkg/a.go", "pkg/sub/b.go")
	b.rename("pkg", "tmp")
	b.rename("tmp", "pkg")
	b.expect(nil, "pkg/a.go", "pkg/sub/b.go")
	b.write("pkg/sub/b.go=1")
	b.expect(changes{"pkg/sub/b.go": watch.Written})
}

func TestRootComesBack(t *testing.T) {
	b := watching(t, "a.go", "sub/b.go")
	b.must(os.RemoveAll(b.dir))
	b.wait(changes{"a.go": watch.Removed, "sub/b.go": watch.Removed})
	if w := b.warning(watch.Vanished); w.Path != b.dir || w.Project != "shop" || w.Hint == "" {
		t.Errorf("the warning is %+v", w)
	}
	b.write("a.go", "sub/c.go")
	b.wait(changes{"a.go": watch.Created, "sub/c.go": watch.Created})
	b.warning(watch.Returned)
	b.write("sub/c.go=1")
	b.wait(changes{"sub/c.go": watch.Written})
}

func TestRootThatIsNotThere(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.set(watch.Root{Dir: b.dir})
	b.warning(watch.Vanished)
	b.write("sub/a.go")
	b.wait(changes{"sub/a.go": watch.Created})
}

// A root that is taken away and made anew at once: only differences are told.
func TestRootReplaced(t *testing.T) {
	b := watching(t, "a.go", "b.go")
	b.must(os.Rename(b.dir, b.dir+".old"))
	b.write("a.go", "b.go=1")
	b.expect(changes{"b.go": watch.Written}, "a.go")
}
