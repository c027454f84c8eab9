package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func instanceOf(service string, attempt int) runtime.InstanceID {
	return runtime.InstanceID{ID: runtime.ID{Service: service, Number: 1}, Attempt: attempt}
}

// say writes events as people compare them.
func say(events []runtime.Event) string {
	var words []string
	for _, e := range events {
		kind := [...]string{"", "generation", "started", "ready", "exited", "summary", "synced"}[e.Kind]
		text := fmt.Sprintf("%d:%s", e.Sequence, kind)
		if e.Instance.Attempt > 0 {
			text += fmt.Sprint(e.Instance.Attempt)
		}
		if e.Summary > 0 {
			text += fmt.Sprint("=", e.Summary)
		}
		words = append(words, text)
	}
	return strings.Join(words, " ")
}

func TestJournalPresent(t *testing.T) {
	j := New(time.Now, ExitsKept)
	id := instanceOf("web", 0).ID
	j.Generation(id, runtime.GenerationStatus{Phase: runtime.GenerationRunning})
	j.Started(instanceOf("web", 1), runtime.Started{})
	j.Ready(instanceOf("web", 1), runtime.Readiness{})
	j.Ready(instanceOf("web", 1), runtime.Readiness{Ready: true})
	j.Exited(instanceOf("web", 1), runtime.Exit{})
	j.Started(instanceOf("web", 2), runtime.Started{})
	if got, want := say(j.present(nil)), "1:generation 5:exited1 6:started2 6:synced"; got != want {
		t.Errorf("present %q, want %q", got, want)
	}
	if gone := j.Forget(5); len(gone) != 0 {
		t.Errorf("forgot the living: %v", gone)
	}
	if got, want := say(j.present(nil)), "1:generation 6:started2 6:synced"; got != want {
		t.Errorf("after forget: %q, want %q", got, want)
	}
	for attempt := 2; attempt < 2+ExitsKept+7; attempt++ {
		j.Exited(instanceOf("web", attempt), runtime.Exit{})
	}
	if got, want := say(j.present(nil)), "1:generation 13:summary=7 14:exited9 "; !strings.HasPrefix(got, want) {
		t.Errorf("present %.60q…, want %q…", got, want)
	}
	j.Generation(id, runtime.GenerationStatus{Phase: runtime.GenerationStopped})
	if gone := j.Forget(j.sequence - 1); len(gone) != 0 {
		t.Errorf("forgot an end nobody acknowledged: %v", gone)
	}
	if gone := j.Forget(j.sequence); len(gone) != 1 || len(j.stories) != 0 {
		t.Errorf("kept what was acknowledged: %v, %v", gone, j.stories)
	}
}

// A watcher that does not read makes nobody wait, and gets the present again.
func TestJournalSlowWatcher(t *testing.T) {
	j := New(time.Now, ExitsKept)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var synced int
	blocked, release, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- j.Watch(ctx, func(e runtime.Event) error {
			if e.Kind == runtime.SyncedEvent {
				if synced++; synced == 1 {
					close(blocked)
					<-release
				}
			}
			if synced == 2 {
				cancel()
			}
			return nil
		})
	}()
	<-blocked
	for i := range 2 * watchLimit {
		j.Generation(instanceOf("web", 0).ID, runtime.GenerationStatus{Restarts: i})
	}
	close(release)
	if err := <-done; !errors.Is(err, context.Canceled) || synced != 2 {
		t.Errorf("watch: %v, synced %d times", err, synced)
	}
}

func TestWhoIsReadyWhere(t *testing.T) {
	j := New(time.Now, ExitsKept)
	id := runtime.ID{Service: "web", Number: 1}
	first, second := runtime.InstanceID{ID: id, Attempt: 1}, runtime.InstanceID{ID: id, Replica: 1, Attempt: 1}
	j.Started(first, runtime.Started{Endpoints: map[string]string{"http": "127.0.0.1:1"}})
	j.Started(second, runtime.Started{Endpoints: map[string]string{"http": "127.0.0.1:2"}})
	if j.AnyReady(id) || len(j.Endpoints(id, "http")) != 0 {
		t.Error("none is ready yet")
	}
	j.Ready(second, runtime.Readiness{Ready: true})
	j.Ready(first, runtime.Readiness{Ready: false})
	if got := j.Endpoints(id, "http"); !j.AnyReady(id) || len(got) != 1 || got[0] != "127.0.0.1:2" {
		t.Errorf("%v", got)
	}
	if got := j.Endpoints(id, "grpc"); len(got) != 0 {
		t.Errorf("a port that is not there is at %v", got)
	}
	j.Exited(second, runtime.Exit{})
	if j.AnyReady(id) {
		t.Error("it has ended")
	}
}
