package forward_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/daemon/forward"
	"github.com/stead-dev/stead/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// far answers each connection with the service's name and what was sent, when
// all of that has come.
func far(t *testing.T) (dial forward.Dial, away *atomic.Int32) {
	away = &atomic.Int32{}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with l
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { // ends with the connection
				defer conn.Close()
				text, _ := io.ReadAll(conn)
				_, _ = fmt.Fprintf(conn, "got %s", text)
			}()
		}
	}()
	return func(ctx context.Context, to forward.Port) (runtime.Conn, error) {
		if away.Add(-1) >= 0 {
			return nil, fmt.Errorf("nobody is ready: %w", runtime.Unavailable)
		}
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
		if err != nil {
			return nil, err
		}
		_, err = fmt.Fprintf(conn, "%s/%s: ", to.Service, to.Port)
		return conn.(*net.TCPConn), err
	}, away
}

func ask(t *testing.T, address, text string) string {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer)
}

func TestPortsStayTheSame(t *testing.T) {
	file := filepath.Join(t.TempDir(), "forwards.json")
	dial, away := far(t)
	api, db := forward.Port{Project: "shop", Service: "api", Port: "http"}, forward.Port{Project: "shop", Service: "db", Port: "db"}
	f, err := forward.Open(file, dial, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	first, err := f.Want([]forward.Port{api, db})
	if err != nil {
		t.Fatal(err)
	}
	if got := ask(t, first[0], "hello"); got != "got api/http: hello" {
		t.Errorf("api answers %q", got)
	}
	away.Store(2) // a pod goes, and the next one is not ready yet
	if got := ask(t, first[1], "x"); got != "got db/db: x" {
		t.Errorf("db answers %q", got)
	}
	f.Close()
	f, err = forward.Open(file, dial, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := ask(t, first[0], "again"); got != "got api/http: again" {
		t.Errorf("the next daemon's api answers %q", got)
	}
	second, err := f.Want([]forward.Port{db, api})
	if err != nil || second[0] != first[1] || second[1] != first[0] {
		t.Errorf("then %v is %v, %v", first, second, err)
	}
	if err := f.Drop(); err != nil {
		t.Error(err)
	}
	if conn, err := net.Dial("tcp", first[0]); err == nil {
		conn.Close()
		t.Error("a port that was let go of still answers")
	}
}

func TestConnectionsEndWithForwards(t *testing.T) {
	dial, _ := far(t)
	f, err := forward.Open(filepath.Join(t.TempDir(), "f"), dial, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	at, err := f.Want([]forward.Port{{Service: "api", Port: "http"}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", at[0])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "begun"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, err := io.ReadAll(conn); err != nil {
		t.Log("cut:", err) // a reset is as good as an end
	}
}
