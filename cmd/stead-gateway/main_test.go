package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
	"github.com/stead-dev/stead/runtime/sockets"
)

// TestMain is also the program that the tests start.
func TestMain(m *testing.M) {
	if os.Getenv("STEAD_TEST_MAIN") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// one is a runtime that has bound a single socket.
type one struct{ file *os.File }

func (o one) Names() []string { return nil }

func (o one) Duplicate(string) (int, bool) {
	fd, err := syscall.Dup(int(o.file.Fd()))
	return fd, err == nil
}

// start runs a generation of the gateway, and waits for READY=1.
func start(t *testing.T, dir string, number int) *exec.Cmd {
	t.Helper()
	return startWith(t, dir, number, t.Output())
}

func startWith(t *testing.T, dir string, number int, stderr io.Writer) *exec.Cmd {
	t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	must(t, err)
	defer func() { _ = notify.Close(); _ = os.Remove(filepath.Join(dir, "notify")) }()
	cmd := exec.Command(os.Args[0], "--control-dir", dir, "--state", dir, "--sockets", filepath.Join(dir, sockets.FileName))
	cmd.Env = append(os.Environ(), "STEAD_TEST_MAIN=1", "NOTIFY_SOCKET="+filepath.Join(dir, "notify"),
		fmt.Sprintf("STEAD_ID=local/stead/gateway/%d/0/1", number))
	cmd.Stderr = stderr
	must(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	must(t, notify.SetReadDeadline(time.Now().Add(time.Minute)))
	text := make([]byte, 64)
	n, err := notify.Read(text)
	must(t, err)
	if string(text[:n]) != "READY=1" {
		t.Fatalf("notified %q", text[:n])
	}
	return cmd
}

func ask(t *testing.T, address string) {
	t.Helper()
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	res, err := c.Get("http://" + address)
	must(t, err)
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "served" {
		t.Fatalf("%q, %v", body, err)
	}
}

// publish has a runtime with one socket, and a service behind it, in routes
// that were kept in dir. It returns the address.
func publish(t *testing.T, dir string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	file, err := l.(*net.TCPListener).File()
	must(t, err)
	must(t, l.Close()) // file goes on
	t.Cleanup(func() { _ = file.Close() })
	runtime, err := sockets.Serve(filepath.Join(dir, sockets.FileName), one{file}, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(runtime.Close)
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	service := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })}
	done := make(chan struct{})
	go func() { defer close(done); _ = service.Serve(upstream) }() // until Close
	t.Cleanup(func() { _ = service.Close(); <-done })
	routes, err := json.Marshal(map[string]any{"format": 1, "services": []map[string]any{{
		"id": "shop/web", "state": "serving", "generation": 1,
		"endpoints": map[string][]string{"http": {upstream.Addr().String()}},
		"listeners": []map[string]any{{"name": "shop/web/http", "addresses": []string{l.Addr().String()}, "port": "http", "protocol": "http"}},
	}}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "routes.json"), routes, 0o600))
	return l.Addr().String()
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw") // t.TempDir is too long for a socket
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestASuccessorServesOnTheSameSocket, and the one that leaves ends with 0.
func TestASuccessorServesOnTheSameSocket(t *testing.T) {
	dir := shortDir(t)
	address := publish(t, dir)
	old := start(t, dir, 1)
	ask(t, address)
	start(t, dir, 2)
	must(t, old.Process.Signal(syscall.SIGTERM))
	must(t, old.Wait())
	ask(t, address)
	for _, left := range []string{gateway.ControlPath(dir, 1), sockets.LenderPath(dir, 1)} {
		if _, err := os.Lstat(left); err == nil {
			t.Errorf("%s of the old gateway is still there", left)
		}
	}
}

// TestItOutlivesItsRuntime, which reads what it logs, and lends what it has to
// the next one.
func TestItOutlivesItsRuntime(t *testing.T) {
	dir := shortDir(t)
	address := publish(t, dir)
	r, w, err := os.Pipe()
	must(t, err)
	must(t, r.Close())
	defer w.Close()
	g := startWith(t, dir, 1, w) // has said that it serves
	ask(t, address)
	c, err := sockets.Dial(sockets.LenderPath(dir, 1))
	must(t, err)
	defer c.Close()
	files, err := c.Fetch(t.Context(), []string{address, "elsewhere"})
	must(t, err)
	if len(files) != 1 || files[address] == nil {
		t.Errorf("lent %v", files)
	}
	for _, f := range files {
		_ = f.Close()
	}
	must(t, g.Process.Signal(syscall.SIGTERM))
	must(t, g.Wait())
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, f := range []flags{{}, {control: "x"}, {control: "x", state: "relative"}} {
		if err := serve(f, nil); err == nil {
			t.Error(fmt.Sprintf("%+v", f), "was taken")
		}
	}
}
