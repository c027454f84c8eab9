package watch_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stead-dev/stead/daemon/watch"
)

func TestIgnores(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.write(".gitignore=/gen/\n*.log\n!keep.log\n/docs/*\n!/docs/api/", "sub/.gitignore=local/\n!debug.log", ".steadignore=*.md\n!*.trace.log\n",
		"gen/x.go", "a.go", "a.log", "sub/keep.log", "sub/debug.log", "sub/local/y.go", "docs/old/x", "docs/api/x", "x.md", "x.trace.log",
		"node_modules/m/i.js", "sub/__pycache__/x.pyc", "target/x", "rust/Cargo.toml", "rust/target/x", "venv/x", "py/venv/pyvenv.cfg", ".git/HEAD", "manual/x")
	b.set(watch.Root{Dir: b.dir, Gitignore: true, Ignore: []string{"/manual/"}})
	b.warm()
	if events, polled := b.w.Watched(); events+polled != 8 { // shop, sub, docs, docs/api, target, rust, venv, py
		t.Errorf("%d and %d directories are watched", events, polled)
	}
	b.write("gen/x.go=1", "a.go=1", "a.log=1", "sub/keep.log=1", "sub/debug.log=1", "sub/local/y.go=1", "docs/old/x=1", "docs/api/x=1", "x.md=1", "x.trace.log=1",
		"node_modules/m/i.js=1", "sub/__pycache__/x.pyc=1", "target/x=1", "rust/target/x=1", "py/venv/y=1", ".git/HEAD=1", "manual/x=1", ".DS_Store", "a.go~")
	b.expect(changes{"a.go": watch.Written, "sub/keep.log": watch.Written, "sub/debug.log": watch.Written, "docs/api/x": watch.Written, "x.trace.log": watch.Written, "target/x": watch.Written})
}

// That a file counts from now on is no change; changes of it are from then on.
func TestIgnoresChange(t *testing.T) {
	b := watching(t, ".gitignore=/gen/\n", "gen/x.go", "a.go", "lib/y.go")
	b.write(".gitignore=/lib/\n", "new.go")
	b.expect(changes{"new.go": watch.Created})
	b.write("gen/x.go=1", "lib/y.go=1")
	b.expect(changes{"gen/x.go": watch.Written})
	b.write(".steadignore=!/lib/\na.go\n")
	b.expect(nil)
	b.write("lib/y.go=2", "a.go=1")
	b.expect(changes{"lib/y.go": watch.Written})
}

// A project below the top of its repository.
func TestIgnoresAbove(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.write("../.git/info/exclude=*.private\n", "../.gitignore=*.tmp\n/shop/gen/\n/other\n", "gen/x", "a.tmp", "a.private", "other", "sub/a.go")
	b.set(watch.Root{Dir: b.dir, Gitignore: true})
	b.warm()
	b.write("gen/x=1", "a.tmp=1", "a.private=1", "other=1", "sub/a.go=1")
	b.expect(changes{"other": watch.Written, "sub/a.go": watch.Written})
}

func TestRoots(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.write("go.mod", "cmd/a/main.go", "cmd/a/x.txt", "web/i.js", ".gitignore=dist/\n", "dist/embed.html", "dist/other.html", "flat/a.go", "flat/sub/b.go", "web/one.json", "../sibling/go.mod", "../sibling/x.go")
	b.set(
		watch.Root{Dir: b.dir, Gitignore: true, Include: []string{"/cmd/**/*.go", "mark-*"}},
		watch.Root{Dir: b.dir, Gitignore: true, Files: []string{"dist/embed.html", "later/made.go", b.path("../sibling/go.mod")}},
		watch.Root{Dir: b.path("flat"), Flat: true},
		watch.Root{Dir: b.path("web/one.json")}, // a file
	)
	b.warm()
	b.write("go.mod=1", "cmd/a/main.go=1", "cmd/a/x.txt=1", "web/i.js=1", "dist/embed.html=1", "dist/other.html=1", "flat/a.go=1", "flat/sub/b.go=1", "web/one.json=1", "../sibling/x.go=1", "later/made.go", "later/not.go")
	b.write("../sibling/go.mod=1") // tell after all else, since it is another tree
	got := changes{"cmd/a/main.go": watch.Written, "dist/embed.html": watch.Written, "flat/a.go": watch.Written, "web/one.json": watch.Written, "later/made.go": watch.Created}
	got[filepath.Join(b.dir, "../sibling/go.mod")] = watch.Written
	b.expect(got)
}

func TestRootsAreChecked(t *testing.T) {
	b := newBench(t, watch.Options{})
	if err := b.w.Set("shop", []watch.Root{{Dir: "relative"}}); err == nil {
		t.Error("a relative root was taken")
	}
}

// Roots that are replaced lose no change, and invent none.
func TestSetAgain(t *testing.T) {
	b := watching(t, "a.go", "b.go", "sub/c.go")
	b.write("b.go=1")
	b.set(watch.Root{Dir: b.dir, Files: []string{"a.go", "b.go"}, Include: []string{"mark-*"}})
	b.expect(changes{"b.go": watch.Written})
	b.set(watch.Root{Dir: b.dir, Gitignore: true})
	b.write("sub/c.go=1", "a.go=1")
	b.expect(changes{"a.go": watch.Written, "sub/c.go": watch.Written})
	b.set()
	if events, polled := b.w.Watched(); events+polled != 0 {
		t.Errorf("%d and %d directories are still watched", events, polled)
	}
}

// Projects that share directories.
func TestTwoProjects(t *testing.T) {
	b := watching(t, "a.go", "sub/b.go")
	b.must(b.w.Set("other", []watch.Root{{Dir: b.path("sub")}}))
	b.write("sub/b.go=1")
	for seen := map[string]bool{}; len(seen) < 2; {
		seen[b.next().Project] = true
	}
	b.must(os.RemoveAll(b.path("sub")))
	for seen := map[string]bool{}; len(seen) < 2; {
		seen[b.next().Project] = true
	}
	b.set()
	b.write("sub/c.go")
	if batch := b.next(); batch.Project != "other" {
		t.Errorf("%s was told, which watches nothing", batch.Project)
	}
}

func TestCheckout(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("needs: git")
	}
	b := newBench(t, watch.Options{})
	if shm, err := os.MkdirTemp("/dev/shm", "watch"); err == nil { // 15,000 files take their time on a busy disk
		t.Cleanup(func() { _ = os.RemoveAll(shm) })
		b.dir = shm + "/shop"
	}
	want := changes{}
	for i := range 5000 {
		name := "pkg" + string(rune('a'+i%20)) + "/sub" + string(rune('a'+i/20%20)) + "/f" + string(rune('a'+i/400)) + ".go"
		want[name] = watch.Written
		b.write(name + "=" + name + "1")
	}
	b.git("init", "-q")
	b.git("add", ".")
	b.git("commit", "-q", "-m", "one")
	b.git("checkout", "-q", "-b", "two")
	for name := range want {
		b.must(os.Remove(b.path(name))) // ext4 flushes what is truncated and written
		b.write(name + "=" + name + "22")
	}
	b.git("commit", "-q", "-a", "-m", "two")
	b.set(watch.Root{Dir: b.dir, Gitignore: true})
	b.warm()
	b.git("checkout", "-q", "-")
	batches := b.expect(want)
	// The mark may come in one of its own. On a machine that needs more than 5 s
	// for a checkout there are more.
	if took := b.last.Last.Sub(b.last.First); batches > 2 && took < 4e9 {
		t.Errorf("%d batches for one checkout", batches)
	}
}

func (b *bench) git(args ...string) {
	b.Helper()
	c := exec.Command("git", append([]string{"-C", b.dir, "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "gc.auto=0", "-c", "core.fsync=none"}, args...)...)
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("git %v: %v: %s", args, err, out)
	}
}

// While git is at work, nothing is told; a lock that stays is not waited for
// for ever.
func TestGitLock(t *testing.T) {
	t.Parallel() // it waits for 5 s
	b := watching(t, ".git/HEAD", "a.go", "b.go")
	b.write(".git/index.lock", "a.go=1")
	b.write("b.go=1")
	b.must(os.Remove(b.path(".git/index.lock")))
	b.expect(changes{"a.go": watch.Written, "b.go": watch.Written})
	b.write(".git/index.lock")
	b.write("a.go=2")
	b.expect(changes{"a.go": watch.Written})
	b.write("a.go=3")
	b.expect(changes{"a.go": watch.Written})
}
