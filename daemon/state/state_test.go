package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/google/go-cmp/cmp"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// opened returns a Store in dir that is closed at the end of the test.
func opened(t testing.TB, dir string) *Store {
	t.Helper()
	s, recovery, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	if recovery != (Recovery{}) {
		t.Fatalf("unexpected recovery: %+v", recovery)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func loaded(t testing.TB, s *Store) Contents {
	t.Helper()
	c, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func committed(t testing.TB, s *Store, b Batch) {
	t.Helper()
	if err := s.Commit(b); err != nil {
		t.Fatal(err)
	}
}

var at = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// sample returns a batch about n services, with one event for each.
func sample(n int) Batch {
	b := Batch{
		Boot:     "boot-1",
		Projects: map[string]json.RawMessage{"shop": json.RawMessage(`{"Name":"shop"}`)},
		Services: map[supervisor.Name]*supervisor.Service{},
		Specs:    map[runtime.ID]*runtime.Spec{},
		Handles:  map[runtime.ID]*runtime.Handle{},
		Ports:    map[string]int{},
	}
	for i := range n {
		name := supervisor.Name{Environment: "local", Project: "shop", Service: fmt.Sprintf("svc-%04d", i)}
		id := runtime.ID{Environment: "local", Project: "shop", Service: name.Service, Number: 1}
		b.Services[name] = &supervisor.Service{
			Name: name, Want: supervisor.Want{Up: true}, Last: 1,
			Plan:        supervisor.Plan{Revision: strconv.Itoa(i), Replicas: 1},
			Generations: []supervisor.Generation{{Number: 1, Phase: supervisor.PhaseReady, Since: at}},
		}
		b.Specs[id] = &runtime.Spec{
			ID: id, Command: []string{"bin/" + name.Service}, Dir: "/home/me/shop", Replicas: 1,
			Environment: map[string]string{"A": "1", "B": "2"}, Inherited: []string{"PATH=/usr/bin:/bin"},
		}
		b.Handles[id] = &runtime.Handle{Version: 1, Data: []byte{0, 1, 2, byte(i)}}
		b.Ports[name.Service] = 9000 + i
		b.Events = append(b.Events, Event{Sequence: uint64(i + 1), Time: at, Project: "shop",
			Service: name.Service, Generation: 1, Kind: "phase", Text: "ready"})
	}
	return b
}

// contents is what a Store holds after b alone.
func contents(b Batch) Contents {
	c := Contents{Boot: b.Boot, Projects: b.Projects, Specs: map[runtime.ID]runtime.Spec{},
		Handles: map[runtime.ID]runtime.Handle{}, Ports: b.Ports, LastEvent: uint64(len(b.Events))}
	for i := range len(b.Services) {
		c.Services = append(c.Services, *b.Services[supervisor.Name{
			Environment: "local", Project: "shop", Service: fmt.Sprintf("svc-%04d", i)}])
	}
	for id, spec := range b.Specs {
		c.Specs[id] = *spec
	}
	for id, h := range b.Handles {
		c.Handles[id] = *h
	}
	return c
}

func same(t testing.TB, what string, have, want any) {
	t.Helper()
	if d := cmp.Diff(want, have); d != "" {
		t.Errorf("%s (-want +have):\n%s", what, d)
	}
}

func TestWhatIsCommittedIsThere(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	empty := loaded(t, s)
	if empty.LastEvent != 0 || empty.Services != nil || len(empty.Specs) != 0 || empty.Projects == nil {
		t.Errorf("a fresh store holds %+v", empty)
	}
	b := sample(30)
	committed(t, s, b)
	same(t, "after the commit", loaded(t, s), contents(b))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = opened(t, dir)
	same(t, "after another open", loaded(t, s), contents(b))
	same(t, "loaded twice", loaded(t, s), contents(b))
	events, err := s.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "events", events, b.Events)

	info, err := os.Stat(filepath.Join(dir, databaseName))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the file: %v, %v", info.Mode(), err)
	}
}

func TestLoadAfterCommitIsNotStale(t *testing.T) {
	s := opened(t, t.TempDir()) // Open has read the contents of an empty file
	committed(t, s, Batch{Boot: "b"})
	if c := loaded(t, s); c.Boot != "b" {
		t.Errorf("boot is %q", c.Boot)
	}
}

func TestBatchChangesOnlyWhatItNames(t *testing.T) {
	s := opened(t, t.TempDir())
	b := sample(3)
	committed(t, s, b)
	id := runtime.ID{Environment: "local", Project: "shop", Service: "svc-0001", Number: 1}
	name := supervisor.Name{Environment: "local", Project: "shop", Service: "svc-0002"}
	committed(t, s, Batch{
		Projects: map[string]json.RawMessage{"shop": nil, "never": nil},
		Services: map[supervisor.Name]*supervisor.Service{name: nil},
		Specs:    map[runtime.ID]*runtime.Spec{id: nil},
		Handles:  map[runtime.ID]*runtime.Handle{id: nil},
		Ports:    map[string]int{"svc-0000": 0, "svc-0001": 77},
	})
	want := contents(b)
	want.Projects = map[string]json.RawMessage{}
	want.Services = want.Services[:2]
	delete(want.Specs, id)
	delete(want.Handles, id)
	want.Ports = map[string]int{"svc-0001": 77, "svc-0002": 9002}
	same(t, "after deletions", loaded(t, s), want)
}

func TestBadBatchChangesNothing(t *testing.T) {
	good := sample(1)
	name := func(s string) supervisor.Name {
		return supervisor.Name{Environment: "local", Project: "shop", Service: s}
	}
	for what, bad := range map[string]Batch{
		"NUL in a name":     {Services: map[supervisor.Name]*supervisor.Service{name("a\x00b"): {}}},
		"empty key":         {Ports: map[string]int{"": 1}},
		"huge key":          {Ports: map[string]int{strings.Repeat("x", bolt.MaxKeySize): 1}},
		"broken JSON":       {Projects: map[string]json.RawMessage{"p": json.RawMessage(`{"a":`)}},
		"no JSON":           {Projects: map[string]json.RawMessage{"p": {}}},
		"event without seq": {Events: []Event{{Text: "x"}}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := opened(t, t.TempDir())
			committed(t, s, good)
			bad.Boot = "must not stay"
			if err := s.Commit(bad); !errors.Is(err, runtime.Invalid) {
				t.Errorf("error %v, want %v", err, runtime.Invalid)
			}
			same(t, "contents", loaded(t, s), contents(good))
			committed(t, s, Batch{Boot: "later"})
		})
	}
}

func TestProjectNamedByDirectory(t *testing.T) {
	s := opened(t, t.TempDir())
	id := runtime.ID{Environment: "local", Project: "/home/me/shop", Service: "web", Number: 1<<64 - 1}
	committed(t, s, Batch{Handles: map[runtime.ID]*runtime.Handle{id: {Version: 3}}})
	same(t, "handles", loaded(t, s).Handles, map[runtime.ID]runtime.Handle{id: {Version: 3}})
}

func TestEvents(t *testing.T) {
	s := opened(t, t.TempDir())
	var all []Event
	for i := range uint64(20) {
		all = append(all, Event{Sequence: 2*i + 1, Time: at, Text: strconv.Itoa(int(i))})
	}
	committed(t, s, Batch{Events: all})
	for _, c := range []struct {
		after uint64
		limit int
		want  []Event
	}{
		{0, 0, all}, {0, 3, all[:3]}, {1, 2, all[1:3]}, {2, 2, all[1:3]},
		{37, 5, all[19:]}, {39, 0, nil}, {1<<64 - 1, 0, nil}, {0, -1, all},
	} {
		have, err := s.Events(c.after, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		same(t, fmt.Sprintf("after %d, limit %d", c.after, c.limit), have, c.want)
	}
}

func TestOldEventsGo(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	last := uint64(0)
	for _, n := range []int{keptEvents - 5, 10, 3, 7} {
		var b Batch
		for range n {
			last++
			b.Events = append(b.Events, Event{Sequence: last, Text: "x"})
		}
		committed(t, s, b)
	}
	s.Close()
	s = opened(t, dir)
	events, err := s.Events(0, 0)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != keptEvents || events[0].Sequence != last-keptEvents+1 || loaded(t, s).LastEvent != last {
		t.Errorf("%d events from %d, last %d of %d", len(events), events[0].Sequence, loaded(t, s).LastEvent, last)
	}
}

func TestBatchWithoutChangeIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	committed(t, s, sample(2))
	before := fileHash(t, dir)
	committed(t, s, sample(2))
	committed(t, s, Batch{})
	if fileHash(t, dir) != before {
		t.Error("the file was written")
	}
}

func TestCallsAtOnce(t *testing.T) {
	s := opened(t, t.TempDir())
	var wg sync.WaitGroup // ends when every caller has made its calls
	for w := range 4 {
		wg.Go(func() {
			for i := range 20 {
				sequence := uint64(w*20 + i + 1)
				if err := s.Commit(Batch{Events: []Event{{Sequence: sequence}}, Ports: map[string]int{"p": i}}); err != nil {
					t.Error(err)
				}
				if _, err := s.Events(0, 5); err != nil {
					t.Error(err)
				}
				if _, err := s.Load(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if events, _ := s.Events(0, 0); len(events) != 80 {
		t.Errorf("%d events, want 80", len(events))
	}
}

func TestClosedStoreRefuses(t *testing.T) {
	s := opened(t, t.TempDir())
	s.Close()
	if err := s.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
	if err := s.Commit(Batch{Boot: "x"}); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("commit: %v", err)
	}
	if _, err := s.Events(0, 0); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("events: %v", err)
	}
}

func TestSecondOpenerIsToldThePID(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	_, _, err := Open(dir, quiet)
	if !errors.Is(err, runtime.Conflict) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || runtime.Hint(err) == "" {
		t.Errorf("second open: %v (hint %q)", err, runtime.Hint(err))
	}
	committed(t, s, Batch{Boot: "still mine"})
	s.Close()
	s = opened(t, dir)
	if loaded(t, s).Boot != "still mine" {
		t.Error("the first opener's commit is gone")
	}
}

// A process that is forked while the Store is open must not keep the lock.
func TestCloseWhileForking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stop := make(chan struct{})
	var forking sync.WaitGroup
	for range 2 {
		forking.Go(func() { // ends with stop
			for {
				select {
				case <-stop:
					return
				default:
					_ = exec.Command("true").Run()
				}
			}
		})
	}
	for range 100 {
		s, _, err := Open(dir, quiet)
		if err != nil {
			t.Error(err)
			break
		}
		s.Close()
	}
	close(stop)
	forking.Wait()
}

func TestForeignOpenerOfTheDatabase(t *testing.T) {
	t.Parallel() // waits for lockTimeout
	dir := t.TempDir()
	opened(t, dir).Close()
	db, err := openDatabase(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, _, err := Open(dir, quiet); !errors.Is(err, runtime.Conflict) || runtime.Hint(err) == "" {
		t.Errorf("open: %v (hint %q)", err, runtime.Hint(err))
	}
}
