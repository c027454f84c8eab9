package lsp_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/lsp"
)

// socketVariable makes the test binary be a language server, for editors.
const socketVariable = "STEAD_TEST_LSP_SOCKET"

func TestMain(m *testing.M) {
	if socket := os.Getenv(socketVariable); socket != "" {
		err := lsp.Serve(context.Background(), lsp.Options{
			In: os.Stdin, Out: os.Stdout, Daemon: ipc.NewClient(socket), Directory: "/", Version: "test",
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// patience ends a test that hangs.
const patience = 20 * time.Second

// daemon serves b on socket until the returned function is called.
func daemon(t *testing.T, socket string, b ipc.Backend) (stop func()) {
	t.Helper()
	l, err := ipc.Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	server := ipc.NewServer(b, slog.New(slog.DiscardHandler))
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = server.Shutdown(ctx)
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "lsp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// editor is a client that a test plays.
type editor struct {
	t    *testing.T
	in   io.WriteCloser
	got  chan string // contents of messages
	done chan error  // what Serve returned
}

// open starts a server for the daemon on socket.
func open(t *testing.T, socket, directory string) *editor {
	t.Helper()
	serverIn, in := io.Pipe()
	out, serverOut := io.Pipe()
	client := ipc.NewClient(socket)
	e := &editor{t: t, in: in, got: make(chan string, 100), done: make(chan error, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // ends with Serve
		e.done <- lsp.Serve(ctx, lsp.Options{
			In: serverIn, Out: serverOut, Daemon: client, Directory: directory, Version: "v1", Log: slog.New(slog.DiscardHandler),
		})
		_ = serverOut.Close()
		client.Close()
	}()
	go func() { // ends with serverOut
		defer close(e.got)
		for r := bufio.NewReader(out); ; {
			header, err := r.ReadString('\n')
			if err != nil {
				return
			}
			n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(header, "Content-Length: "), "\r\n"))
			empty, _ := r.ReadString('\n')
			if err != nil || empty != "\r\n" {
				t.Errorf("not a message: %q %q", header, empty)
				return
			}
			content := make([]byte, n)
			if _, err := io.ReadFull(r, content); err != nil {
				t.Errorf("a message was cut: %v", err)
				return
			}
			e.got <- string(content)
		}
	}()
	t.Cleanup(func() {
		cancel()
		_ = in.Close()
		for range e.got { //nolint:revive // until it is closed
		}
	})
	return e
}

func (e *editor) write(text string) {
	e.t.Helper()
	if _, err := io.WriteString(e.in, text); err != nil {
		e.t.Fatal(err)
	}
}

func (e *editor) say(content string) {
	e.t.Helper()
	e.write(fmt.Sprintf("Content-Length: %d\r\nContent-Type: application/vscode-jsonrpc; charset=utf-8\r\n\r\n%s", len(content), content))
}

func (e *editor) hear() string {
	e.t.Helper()
	select {
	case text, ok := <-e.got:
		if !ok {
			e.t.Fatal("the server has left")
		}
		return text
	case <-time.After(patience):
		e.t.Fatal("nothing came")
	}
	return ""
}

// want checks the next message for texts.
func (e *editor) want(texts ...string) {
	e.t.Helper()
	got := e.hear()
	for _, text := range texts {
		if !strings.Contains(got, text) {
			e.t.Fatalf("no %s in %s", text, got)
		}
	}
}

func (e *editor) begin(folders ...string) {
	e.t.Helper()
	list := []map[string]string{}
	for _, f := range folders {
		list = append(list, map[string]string{"uri": "file://" + f, "name": filepath.Base(f)})
	}
	text, err := json.Marshal(list)
	if err != nil {
		e.t.Fatal(err)
	}
	e.say(`{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"processId":1,"rootUri":null,"capabilities":{},"workspaceFolders":` + string(text) + `}}`)
	e.want(`"id":1`, `"serverInfo":{"name":"stead","version":"v1"}`, `"positionEncoding":"utf-16"`)
	e.say(`{"jsonrpc":"2.0","method":"initialized","params":{}}`)
}

// leave ends the session as the protocol wants it.
func (e *editor) leave() {
	e.t.Helper()
	e.say(`{"jsonrpc":"2.0","id":"bye","method":"shutdown"}`)
	e.want(`{"jsonrpc":"2.0","id":"bye","result":null}`)
	e.say(`{"jsonrpc":"2.0","method":"exit"}`)
	e.ends(nil)
}

func (e *editor) ends(want error) {
	e.t.Helper()
	select {
	case err := <-e.done:
		if (err == nil) != (want == nil) {
			e.t.Errorf("ended with %v, want %v", err, want)
		}
	case <-time.After(patience):
		e.t.Fatal("the server does not end")
	}
}

var web, api = ipctest.Name("web"), ipctest.Name("api")
