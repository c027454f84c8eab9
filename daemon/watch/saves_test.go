package watch_test

import (
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/watch"
)

// What editors do, as strace shows it.
func TestEditors(t *testing.T) {
	for name, save := range map[string]func(b *bench){
		"vim": func(b *bench) { // backupcopy=auto, writebackup
			b.write(".a.go.swp", "4913")
			b.must(os.Remove(b.path("4913")))
			b.rename("a.go", "a.go~")
			b.write("a.go=new")
			b.must(os.Chmod(b.path("a.go"), 0o644))
			b.must(os.Remove(b.path("a.go~")))
			b.must(os.Remove(b.path(".a.go.swp")))
		},
		"vscode": func(b *bench) { b.write("a.go=new") },
		"jetbrains": func(b *bench) {
			b.write("a.go___jb_tmp___=new")
			b.rename("a.go", "a.go___jb_old___")
			b.rename("a.go___jb_tmp___", "a.go")
			b.must(os.Remove(b.path("a.go___jb_old___")))
		},
		"emacs": func(b *bench) {
			b.must(os.Symlink("me@host.12:34", b.path(".#a.go")))
			b.write("#a.go#=new")
			b.rename("a.go", "a.go~")
			b.write("a.go=new")
			b.must(os.Remove(b.path(".#a.go")))
			b.must(os.Remove(b.path("#a.go#")))
		},
		"rename over": func(b *bench) {
			b.write("random-name=new")
			b.rename("random-name", "a.go")
		},
		"gedit": func(b *bench) {
			b.write(".goutputstream-X1Y2Z3=new")
			b.rename(".goutputstream-X1Y2Z3", "a.go")
		},
		"delete and make": func(b *bench) {
			b.must(os.Remove(b.path("a.go")))
			b.write("a.go=new")
		},
		"helix": func(b *bench) { // backup in a random directory name
			b.rename("a.go", "a.go.bck1234")
			b.write("a.go=new")
			b.must(os.Remove(b.path("a.go.bck1234")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := watching(t, "a.go", "b.go")
			save(b)
			b.expect(changes{"a.go": watch.Written})
			save(b) // the same content
			b.expect(nil, "a.go")
		})
	}
}

// A cp truncates and writes in pieces, which is one save: what is still open
// for writing is not told. How long that is waited for is bounded, so an
// attempt that a slow machine drew out says nothing.
func TestSaveIsToldWhenItIsWritten(t *testing.T) {
	if !watch.SeesWriters {
		t.Skip("needs: a system that says whether a file is open for writing")
	}
	b := watching(t, "big.go")
	for attempt := range 20 {
		f, err := os.OpenFile(b.path("big.go"), os.O_WRONLY|os.O_TRUNC, 0)
		b.must(err)
		early := false
		began := time.Now()
		for range 3 {
			began = time.Now()
			_, err = fmt.Fprintln(f, "a part of attempt", attempt)
			b.must(err)
			time.Sleep(10 * time.Millisecond) // more than it takes to settle
			early = early || b.w.Pending("shop", b.path("big.go"))
		}
		tookLong := time.Since(began) > watch.ReturnLimit/2
		b.must(f.Close())
		b.expect(changes{"big.go": watch.Written})
		if !early {
			return
		}
		if !tookLong {
			t.Fatal("a file was told of before it was written")
		}
	}
	t.Log("the machine is too slow to tell")
}

func TestLinkedFile(t *testing.T) {
	b := watching(t, "a.go", "../elsewhere/x.conf", "../elsewhere/y.conf")
	b.must(os.Symlink("../elsewhere/x.conf", b.path("app.conf")))
	b.expect(changes{"app.conf": watch.Created})
	b.write("../elsewhere/x.conf=1")
	b.expect(changes{"app.conf": watch.Written})
	b.must(os.Symlink("../elsewhere/y.conf", b.path("tmp.conf")))
	b.rename("tmp.conf", "app.conf")
	b.expect(changes{"app.conf": watch.Written})
	b.write("../elsewhere/x.conf=2") // no longer of interest
	b.expect(nil)
	b.write("../elsewhere/y.conf=3")
	b.expect(changes{"app.conf": watch.Written})
	b.must(os.Remove(b.path("../elsewhere/y.conf")))
	b.expect(changes{"app.conf": watch.Removed})
	b.write("../elsewhere/y.conf=4")
	b.expect(changes{"app.conf": watch.Created})
}

// Kubernetes mounts a ConfigMap as links through ..data, which is swapped.
func TestConfigMap(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.write("cfg/..2024/app.yaml=1", "cfg/..2024/same.yaml=1")
	b.must(os.Symlink("..2024", b.path("cfg/..data")))
	b.must(os.Symlink("..data/app.yaml", b.path("cfg/app.yaml")))
	b.must(os.Symlink("..data/same.yaml", b.path("cfg/same.yaml")))
	b.set(watch.Root{Dir: b.dir, Ignore: []string{"..2*"}})
	b.warm()
	b.write("cfg/..2025/app.yaml=2", "cfg/..2025/same.yaml=1")
	b.must(os.Symlink("..2025", b.path("cfg/..data_tmp")))
	b.rename("cfg/..data_tmp", "cfg/..data")
	b.must(os.RemoveAll(b.path("cfg/..2024")))
	b.expect(changes{"cfg/app.yaml": watch.Written, "cfg/..data/app.yaml": watch.Written})
}

func TestLinkedDirectory(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.write("a/f.go", "../lib/v1/x.go", "../lib/v2/x.go=2", "../lib/v2/y.go")
	for link, target := range map[string]string{"a/loop": "..", "a/self": ".", "b": "a", "lib": "../lib/v1", "root": "/", "up": "../.."} {
		b.must(os.Symlink(target, b.path(link)))
	}
	b.must(os.Symlink("../../shop/a", b.path("../lib/v1/back")))
	b.set(watch.Root{Dir: b.dir})
	b.warm()
	if events, polled := b.w.Watched(); events+polled != 3 { // the project, a, and lib
		t.Errorf("%d and %d directories are watched", events, polled)
	}
	b.write("a/f.go=1", "../lib/v1/x.go=1")
	b.expect(changes{"a/f.go": watch.Written, "lib/x.go": watch.Written})
	b.must(os.Symlink("../lib/v2", b.path("lib.new")))
	b.rename("lib.new", "lib")
	b.write("lib/y.go=1")
	b.expect(changes{"lib/x.go": watch.Written, "lib/y.go": watch.Created})
}

func TestHardLinks(t *testing.T) {
	b := newBench(t, watch.Options{})
	b.write("a.go")
	b.must(os.Mkdir(b.path("sub"), 0o755))
	b.must(os.Link(b.path("a.go"), b.path("sub/b.go")))
	b.set(watch.Root{Dir: b.dir})
	b.warm()
	b.write("a.go=1")
	b.expect(changes{"a.go": watch.Written, "sub/b.go": watch.Written})
	b.write("sub/b.go=22")
	b.expect(changes{"a.go": watch.Written, "sub/b.go": watch.Written})
}

func TestStrangeNames(t *testing.T) {
	b := watching(t, "two\nlines.go", "not \xff\xfe UTF-8/x.go", "README.md", "pipe")
	b.must(os.Remove(b.path("pipe")))
	b.expect(changes{"pipe": watch.Removed})
	b.must(mkfifo(b.path("pipe"))) // must not be opened
	b.write("two\nlines.go=1", "not \xff\xfe UTF-8/x.go=1", " /-rf")
	b.rename("README.md", "Readme.md")
	b.expect(changes{"two\nlines.go": watch.Written, "not \xff\xfe UTF-8/x.go": watch.Written, " /-rf": watch.Created,
		"README.md": watch.Removed, "Readme.md": watch.Created})
}

func TestDeep(t *testing.T) {
	b := watching(t, "a.go")
	name := ""
	for range 150 {
		name += "d/"
	}
	b.write(name + "x.go")
	b.expect(changes{name + "x.go": watch.Created})
	b.write(name + "x.go=1")
	b.expect(changes{name + "x.go": watch.Written})
}

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("needs: an ordinary user")
	}
	b := newBench(t, watch.Options{})
	b.write("a.go", "secret/b.go")
	b.must(os.Chmod(b.path("secret"), 0))
	t.Cleanup(func() { _ = os.Chmod(b.path("secret"), 0o755) })
	b.set(watch.Root{Dir: b.dir})
	if w := b.warning(watch.Unreadable); w.Path != b.path("secret") {
		t.Errorf("the warning is %+v", w)
	}
	b.write("a.go=1")
	b.expect(changes{"a.go": watch.Written})
	b.must(os.Chmod(b.path("secret"), 0o755))
	b.wait(changes{"secret/b.go": watch.Created})
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }
