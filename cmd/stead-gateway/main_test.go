package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
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

// start runs the gateway with the socket of l, and waits for READY=1.
func start(t *testing.T, dir, name string, l *net.TCPListener) *exec.Cmd {
	t.Helper()
	f, err := l.File()
	must(t, err)
	defer f.Close()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, name+".n"), Net: "unixgram"})
	must(t, err)
	defer notify.Close()
	// The way services get sockets: LISTEN_PID is the shell's, which becomes them.
	cmd := exec.Command("/bin/sh", "-c", `LISTEN_PID=$$ exec "$0" "$@"`, os.Args[0], "--control", filepath.Join(dir, name), "--state", dir)
	cmd.Env = append(os.Environ(), "STEAD_TEST_MAIN=1", "LISTEN_FDS=1", "LISTEN_FDNAMES=shop/web/http", "NOTIFY_SOCKET="+filepath.Join(dir, name+".n"))
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = t.Output()
	must(t, cmd.Start())
	t.Cleanup(func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	must(t, notify.SetReadDeadline(time.Now().Add(30*time.Second)))
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
	c := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	res, err := c.Get("http://" + address)
	must(t, err)
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "served" {
		t.Fatalf("%q, %v", body, err)
	}
}

// TestASuccessorServesOnTheSameSocket, and the one that leaves ends with 0.
func TestASuccessorServesOnTheSameSocket(t *testing.T) {
	dir, err := os.MkdirTemp("", "gw")
	must(t, err)
	defer os.RemoveAll(dir)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	service := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })}
	done := make(chan struct{})
	go func() { defer close(done); _ = service.Serve(upstream) }()
	defer func() { _ = service.Close(); <-done }()
	routes, err := json.Marshal(map[string]any{"format": 1, "services": []map[string]any{{
		"id": "shop/web", "state": "serving", "generation": 1,
		"endpoints": map[string][]string{"http": {upstream.Addr().String()}},
		"listeners": []map[string]any{{"name": "shop/web/http", "addresses": []string{l.Addr().String()}, "port": "http", "protocol": "http"}},
	}}})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "routes.json"), routes, 0o600))
	old := start(t, dir, "1", l.(*net.TCPListener))
	ask(t, l.Addr().String())
	start(t, dir, "2", l.(*net.TCPListener))
	must(t, old.Process.Signal(syscall.SIGTERM))
	must(t, old.Wait())
	ask(t, l.Addr().String())
	if _, err := os.Lstat(filepath.Join(dir, "1")); err == nil {
		t.Error("the old control socket is still there")
	}
}

func TestWrongFlagsAreRefused(t *testing.T) {
	for _, f := range []flags{{}, {control: "x"}, {control: "x", state: "relative"}} {
		if err := serve(f, nil); err == nil {
			t.Error(fmt.Sprintf("%+v", f), "was taken")
		}
	}
}
