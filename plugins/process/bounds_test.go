package process

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

// A session that does not read loses output and is told; it holds nobody up.
func TestSlowSessionLosesOutput(t *testing.T) {
	s := newScreen(nil)
	a := s.attach()
	for range 3 * screenLimit / 1024 {
		s.show(bytes.Repeat([]byte("x"), 1024))
	}
	out, err := a.Receive()
	if err != nil || !strings.HasPrefix(string(out.Data), screenLost) || len(out.Data) > screenLimit+len(screenLost) {
		t.Errorf("%d bytes %.30q, %v", len(out.Data), out.Data, err)
	}
	late, err := s.attach().Receive()
	if err != nil || len(late.Data) != screenKept {
		t.Errorf("replayed %d bytes, %v", len(late.Data), err)
	}
}

// 5,000 restarts in a row do not make the file grow without end, and what is
// left of it says the same.
func TestRecordsAreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), recordsName)
	r, err := createRecords(path, header{Nonce: "n", Boot: "b"}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id := runtime.ID{Service: "web", Number: 1}
	r.generation(id, "hash")
	for attempt := 1; attempt <= 5000; attempt++ {
		instance := runtime.InstanceID{ID: id, Attempt: attempt}
		r.start(instance, os.Getpid())
		r.exit(instance, runtime.Exit{Code: attempt})
	}
	r.start(runtime.InstanceID{ID: id, Attempt: 5001}, os.Getpid())
	r.close()
	if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
		t.Errorf("%v bytes, %v", info.Size(), err)
	}
	// A line that was cut short, as by a kill in the middle of a write.
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteString(`{"forget":{"Serv`)
	f.Close()
	k := readRecords(path)
	if len(k.processes()) != 1 || k.processes()[0].Start != startOf(os.Getpid()) {
		t.Errorf("processes %+v", k.processes())
	}
	g := k.unfinished()[0]
	last := g.Exits[len(g.Exits)-1]
	if g.Hash != "hash" || g.Restarts != 5000 || !last.Exit.Lost || last.Instance.Attempt != 5001 {
		t.Errorf("%+v", g)
	}
}

func TestRestartCountedTwiceAfterARewrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), recordsName)
	r, err := createRecords(path, header{Nonce: "n", Boot: "b"}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	id := runtime.ID{Service: "web", Number: 1}
	r.generation(id, "hash")
	r.start(runtime.InstanceID{ID: id, Attempt: 2}, os.Getpid())
	r.start(runtime.InstanceID{ID: id, Replica: 1, Attempt: 1}, os.Getpid())
	if err := r.rewrite(); err != nil {
		t.Fatal(err)
	}
	r.close()
	if g := readRecords(path).unfinished()[0]; g.Restarts != 1 {
		t.Errorf("%d restarts", g.Restarts)
	}
}
