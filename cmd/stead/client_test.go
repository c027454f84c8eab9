package main

import (
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
)

// The socket of a daemon that was just killed still takes connections for a
// moment: `pkill -9 steadd; stead status` said that no daemon was running.
func TestStatusRightAfterKill(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	dead := time.AfterFunc(20*time.Millisecond, func() { _ = l.Close() })
	defer dead.Stop()
	if answers(socket) {
		t.Error("a daemon that is dying counts as answering")
	}
}

func TestAnswers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	web := &http.Server{Handler: http.NotFoundHandler()}
	done := make(chan error, 1)
	go func() { done <- web.Serve(l) }() // ends with web.Close
	defer func() {
		_ = web.Close()
		<-done
	}()
	if !answers(socket) {
		t.Error("a daemon that answers does not count")
	}
	if answers(socket + "x") {
		t.Error("no daemon counts as answering")
	}
}

// A daemon that is killed between two calls is not there for the second one:
// `stead up` said that no daemon was running, and gave up its services.
func TestSuccessorOfOneThatIsGone(t *testing.T) {
	home, _ := playing(t, `{"answers": {"Version": {}}}`)
	t.Setenv("STEAD_HOME", home)
	_, lost := ipc.NewClient(filepath.Join(t.TempDir(), "s")).Version(t.Context(), &steadpb.VersionRequest{})
	if _, err := new(cli).successor(t.Context(), lost); lost == nil || err != nil {
		t.Errorf("%v, after %v", err, lost)
	}
}
