package ipc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/ipc"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shortDir is a directory of the test's own whose path leaves room for a
// socket, wherever TMPDIR is.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "ipc")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// served is a running server and a client of it.
type served struct {
	*ipc.Client
	socket string
	server *ipc.Server
	log    *syncBuffer
}

// serve runs a server of b until the test ends.
func serve(t testing.TB, b ipc.Backend) served {
	t.Helper()
	s := served{socket: filepath.Join(shortDir(t), "s"), log: &syncBuffer{}}
	l, err := ipc.Listen(s.socket)
	if err != nil {
		t.Fatal(err)
	}
	s.server = ipc.NewServer(b, slog.New(slog.NewTextHandler(s.log, nil)))
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(l) }()
	s.Client = ipc.NewClient(s.socket)
	t.Cleanup(func() {
		s.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		_ = s.server.Shutdown(ctx)
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if _, err := os.Lstat(s.socket); err == nil {
			t.Error("the socket was left behind")
		}
	})
	return s
}

// post does what curl does.
func (s served) post(t testing.TB, rpc, body string) (int, map[string]any) {
	t.Helper()
	carrier := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", s.socket)
	}}
	defer carrier.CloseIdleConnections()
	client := http.Client{Transport: carrier}
	res, err := client.Post("http://stead/stead.v1.Daemon/"+rpc, "application/json", bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]any
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatalf("%s: %d %q: %v", rpc, res.StatusCode, text, err)
	}
	return res.StatusCode, out
}
