package watch_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/watch"
)

// Events that are lost are made up for by looking at everything.
func TestOverflow(t *testing.T) {
	b := watching(t, "a.go", "sub/b.go", "sub/c.go", "gone/d.go", "same.go")
	b.w.Narrow(0)
	b.write("a.go=1", "sub/c.go=1", "new/tree/e.go")
	b.rename("gone", "came")
	got := changes{}
	rescanned := false
	want := changes{"a.go": watch.Written, "sub/c.go": watch.Written, "new/tree/e.go": watch.Created, "gone/d.go": watch.Removed, "came/d.go": watch.Created}
	for len(got) < len(want) {
		batch := b.next()
		rescanned = rescanned || batch.Rescanned
		got.add(b, batch)
	}
	if !rescanned {
		t.Error("no batch says that it was rescanned")
	}
	b.w.Narrow(1 << 10)
	b.write("new/tree/e.go=1", "came/d.go=1")
	b.expect(changes{"new/tree/e.go": watch.Written, "came/d.go": watch.Written})
}

// What cannot be watched is polled, and the warning says what to do.
func TestNoMoreWatches(t *testing.T) {
	b := newBench(t, watch.Options{MaxWatches: 2, PollEvery: 5 * time.Millisecond})
	b.write("a.go", "x/a.go", "y/a.go", "z/a.go")
	b.set(watch.Root{Dir: b.dir})
	w := b.warning(watch.Limited)
	if !strings.Contains(w.Hint, "ulimit") && !strings.Contains(w.Hint, "sysctl fs.inotify.max_user_watches=") {
		t.Errorf("the hint is %q", w.Hint)
	}
	if events, polled := b.w.Watched(); events != 2 || polled != 2 {
		t.Errorf("%d are watched and %d polled", events, polled)
	}
	b.write("a.go=1", "x/a.go=1", "y/a.go=1", "z/a.go=1", "z/new/b.go")
	b.wait(changes{"a.go": watch.Written, "x/a.go": watch.Written, "y/a.go": watch.Written, "z/a.go": watch.Written, "z/new/b.go": watch.Created})
	b.write("z/new/b.go=1")
	b.wait(changes{"z/new/b.go": watch.Written})
	select {
	case w := <-b.w.Warnings():
		t.Errorf("another warning: %+v", w)
	default:
	}
}

func TestFileSystemWithoutEvents(t *testing.T) {
	b := newBench(t, watch.Options{PollEvery: 5 * time.Millisecond, Silent: func(dir string) string {
		if strings.HasSuffix(dir, "/remote") {
			return "NFS"
		}
		return ""
	}})
	b.write("a.go", "remote/b.go", "remote/c.go")
	b.set(watch.Root{Dir: b.dir})
	if w := b.warning(watch.NoEvents); !strings.Contains(w.Text, "NFS") {
		t.Errorf("the warning is %+v", w)
	}
	b.write("remote/b.go=1")
	b.wait(changes{"remote/b.go": watch.Written})
	b.rename("remote/c.go", "remote/d.go")
	b.wait(changes{"remote/c.go": watch.Removed, "remote/d.go": watch.Created})
	b.write("a.go=1")
	b.wait(changes{"a.go": watch.Written})
}

// A root that is to be polled costs no watch, and its saves are told; one
// beside it is watched as ever.
func TestPollAsked(t *testing.T) {
	b := newBench(t, watch.Options{PollEvery: 5 * time.Millisecond})
	b.write("a.go", "mount/b.go", "mount/sub/c.go", "../far/x.conf")
	b.must(os.Symlink("../../far/x.conf", b.path("mount/x.conf")))
	b.set(watch.Root{Dir: b.dir, Ignore: []string{"mount"}}, watch.Root{Dir: b.path("mount"), Poll: true})
	if w := b.warning(watch.Polled); w.Path != b.path("mount") || !strings.Contains(w.Text, "poll: true") {
		t.Errorf("the warning is %+v", w)
	}
	if events, polled := b.w.Watched(); events != 1 || polled != 3 {
		t.Errorf("%d are watched and %d polled", events, polled)
	}
	for round := range 3 {
		content := strings.Repeat("x", round) // of another size: the clock of mtime may not have ticked
		b.write("mount/b.go="+content, "mount/sub/c.go="+content, "../far/x.conf="+content, "a.go="+content)
		b.wait(changes{"mount/b.go": watch.Written, "mount/sub/c.go": watch.Written, "mount/x.conf": watch.Written, "a.go": watch.Written})
	}
	b.write("mount/new/d.go")
	b.rename("mount/b.go", "mount/e.go")
	b.wait(changes{"mount/new/d.go": watch.Created, "mount/b.go": watch.Removed, "mount/e.go": watch.Created})
	b.must(os.Remove(b.path("mount/sub/c.go")))
	b.wait(changes{"mount/sub/c.go": watch.Removed})
	b.set(watch.Root{Dir: b.dir, Ignore: []string{"mount"}}, watch.Root{Dir: b.path("mount")})
	if events, polled := b.w.Watched(); events != 5 || polled != 0 { // with the one of the link
		t.Errorf("afterwards %d are watched and %d polled", events, polled)
	}
	select {
	case w := <-b.w.Warnings():
		t.Errorf("another warning: %+v", w)
	default:
	}
}

// A consumer that does not come gets one batch of all that happened.
func TestSlowConsumer(t *testing.T) {
	b := watching(t, "a.go", "b.go", "c.go")
	for i := range 20 {
		b.write(fmt.Sprintf("a.go=%d", i), fmt.Sprintf("n%d.go", i))
		b.until("the change has been seen", func() bool { return b.w.Pending("shop", b.path(fmt.Sprintf("n%d.go", i))) })
	}
	batch := b.next()
	if len(batch.Changes) < 20 {
		t.Errorf("the batch has %d changes", len(batch.Changes))
	}
}

// A project's output: each reload writes it, and it causes the next.
func TestOwnOutput(t *testing.T) {
	b := newBench(t, watch.Options{Writer: func(string) string { return "" }})
	b.write("a.go", "started.txt=0")
	b.set(watch.Root{Dir: b.dir})
	b.warm()
	b.write("a.go=1")
	reloads := 0
	for suspended := false; !suspended; {
		select {
		case <-b.w.Batches():
			reloads++
			if reloads > 50 {
				t.Fatal("a project reloads itself for ever")
			}
			done := b.w.Acting("shop")
			b.write(fmt.Sprintf("started.txt=%d", reloads))
			done(time.Now())
		case w := <-b.w.Warnings():
			if w.Trouble != watch.OwnOutput || w.Path != b.path("started.txt") || !strings.Contains(w.Hint, ".steadignore") {
				t.Fatalf("the warning is %+v", w)
			}
			suspended = true
		case <-time.After(patience):
			t.Fatalf("neither a batch nor a warning came after %d reloads", reloads)
		}
	}
	done := b.w.Acting("shop")
	b.write("a.go=2")
	b.wait(changes{"a.go": watch.Written}) // sources are heeded meanwhile
	done(time.Now())
	b.wait(changes{"started.txt": watch.Written}) // once more when all is at rest: it might have been a person
	time.Sleep(watch.Calm)
	b.write("started.txt=by hand")
	b.warning(watch.Resumed)
	b.wait(changes{"started.txt": watch.Written})
}

// A log is kept open by who writes it, which is proof.
func TestHeldFile(t *testing.T) {
	b := newBench(t, watch.Options{Writer: func(path string) string {
		if strings.HasSuffix(path, ".log") {
			return "web (pid 312)"
		}
		return ""
	}})
	b.write("a.go", "web.log")
	b.set(watch.Root{Dir: b.dir})
	b.warm()
	b.write("web.log=0", "a.go=0")
	for i, suspended := 1, false; !suspended; i++ {
		select {
		case <-b.w.Batches():
			b.write(fmt.Sprintf("web.log=%d", i), fmt.Sprintf("a.go=%d", i))
		case w := <-b.w.Warnings():
			if w.Path != b.path("web.log") || !strings.Contains(w.Text, "web (pid 312)") {
				t.Errorf("the warning is %+v", w)
			}
			suspended = true
		case <-time.After(patience):
			t.Fatal("neither a batch nor a warning came")
		}
	}
	b.expect(nil, "web.log", "a.go") // what was on its way
	b.write("web.log=more", "a.go=more")
	b.expect(changes{"a.go": watch.Written})
}

func TestClosed(t *testing.T) {
	w := watch.New(watch.Options{})
	w.Close()
	w.Close()
	if err := w.Set("shop", []watch.Root{{Dir: t.TempDir()}}); err != watch.ErrClosed {
		t.Errorf("Set says %v", err)
	}
	w.Acting("shop")(time.Now())
}
