package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"sync"
	"testing"

	"github.com/stead-dev/stead/daemon/gateway"
)

// script is a process that answers the requests of each connection with texts,
// in turn, and ends a connection when it has no more of them, or at "".
func script(t *testing.T, texts ...string) (address string, accepted func() int) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	var (
		mu    sync.Mutex
		count int
		tasks sync.WaitGroup
	)
	serve := func(c net.Conn) {
		defer c.Close()
		r := bufio.NewReader(c)
		for _, text := range texts {
			if _, err := http.ReadRequest(r); err != nil || text == "" {
				return
			}
			_, _ = io.WriteString(c, text)
		}
	}
	tasks.Go(func() { // until l is closed
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			count++
			mu.Unlock()
			tasks.Go(func() { serve(c) }) // until the gateway closes, which it does before
		}
	})
	t.Cleanup(func() { _ = l.Close(); tasks.Wait() })
	return l.Addr().String(), func() int { mu.Lock(); defer mu.Unlock(); return count }
}

// TestAnswersOfEachKind come through whole, and leave a connection that is used
// again exactly where its state is known.
func TestAnswersOfEachKind(t *testing.T) {
	const next = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext"
	long := strings.Repeat("x", 100_000)
	for name, c := range map[string]struct {
		method, answer string
		status         int
		body           string
		connections    int // after two requests; what is no answer is asked for once more
	}{
		"length":         {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", 1},
		"long":           {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + long, 200, long, 1},
		"chunks":         {"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 200, "abc", 1},
		"empty":          {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", 1},
		"no content":     {"DELETE", "HTTP/1.1 204 No Content\r\n\r\n", 204, "", 1},
		"not modified":   {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, "", 1},
		"head":           {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", 200, "", 1},
		"put":            {"PUT", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", 1},
		"early hints":    {"GET", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, "abc", 1},
		"asks to close":  {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", 200, "abc", 2},
		"until it ends":  {"GET", "HTTP/1.0 200 OK\r\n\r\nabc", 200, "abc", 2},
		"too much":       {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", 200, "abc", 2},
		"not asked for":  {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison", 200, "", 2},
		"two lengths":    {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 502, "", 4},
		"switches":       {"GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", 502, "", 4},
		"garbage":        {"GET", "SSH-2.0-OpenSSH\r\n\r\n", 502, "", 4},
		"header no end":  {"GET", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+long+"\r\n", 11), 502, "", 4},
		"hints no end":   {"GET", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: "+long+"\r\n\r\n", 11), 502, "", 4},
		"header is long": {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: " + long + "\r\n\r\nabc", 200, "abc", 1},
	} {
		t.Run(name, func(t *testing.T) {
			answers := []string{c.answer, next}
			if strings.HasPrefix(c.answer, "HTTP/1.0") {
				answers = answers[:1] // its end is the connection's
			}
			address, accepted := script(t, answers...)
			var sp spine
			socket := sp.bind(t, "shop/web/http")
			g := open(t, gateway.Options{Sockets: &sp})
			g.route(t, entry(socket, gateway.HTTP, 1, address))
			ask := func() (int, string) {
				r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
					Got1xxResponse: func(int, textproto.MIMEHeader) error { return nil },
				}), c.method, "http://"+socket.Address, nil)
				must(t, err)
				res, err := caller(t, false).Do(r)
				must(t, err)
				defer res.Body.Close()
				body, err := io.ReadAll(res.Body)
				must(t, err)
				return res.StatusCode, string(body)
			}
			status, body := ask()
			if status != c.status || status < 500 && body != c.body {
				t.Errorf("%d %.100q", status, body)
			}
			status, body = ask()
			if want := "next"; c.connections == 1 && (status != 200 || body != want && c.method != "HEAD") {
				t.Errorf("then %d %.100q", status, body)
			}
			if strings.Contains(body, "poison") || accepted() != c.connections {
				t.Errorf("then %.100q, on %d connections", body, accepted())
			}
			g.close()
		})
	}
}

// TestWhatNobodyAskedForIsNoAnswer: a process that speaks up on an idle
// connection must not be taken to answer the next caller.
func TestWhatNobodyAskedForIsNoAnswer(t *testing.T) {
	late := make(chan net.Conn, 8)
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc")
		late <- c
	}))
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	for range 3 {
		status, body, _, err := get(caller(t, false), socket.Address)
		if err != nil || status != 200 || body != "abc" {
			t.Errorf("%d %q %v", status, body, err)
		}
		c := <-late
		defer c.Close()
		_, err = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison")
		must(t, err)
	}
}

// TestIdleConnectionsThatWereClosedLoseNothing, however many there are.
func TestIdleConnectionsThatWereClosedLoseNothing(t *testing.T) {
	address, _ := script(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", "")
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, address))
	var callers sync.WaitGroup
	for range 8 {
		c := caller(t, false)
		callers.Go(func() {
			for range 20 {
				if status, body, _, err := get(c, socket.Address); err != nil || status != 200 || body != "abc" {
					t.Errorf("%d %q %v", status, body, err)
				}
			}
		})
	}
	callers.Wait()
	g.close()
}

// TestACallerWhoLeavesEndsItsRequest at the process, before and after the
// header of the answer.
func TestACallerWhoLeavesEndsItsRequest(t *testing.T) {
	ended, began := make(chan struct{}), make(chan struct{})
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/late" {
			_, _ = io.WriteString(w, "first")
			_ = http.NewResponseController(w).Flush()
		}
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	for _, path := range []string{"/early", "/late"} {
		c, err := net.Dial("tcp", socket.Address)
		must(t, err)
		_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path)
		must(t, err)
		<-began
		must(t, c.Close())
		<-ended
	}
}

// TestAGenerationThatGoesKeepsNoIdleConnection: its process may wait for them.
func TestAGenerationThatGoesKeepsNoIdleConnection(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	left := make(chan error, 1)
	go func() { // until the gateway has closed its connection
		c, err := l.Accept()
		if err != nil {
			left <- err
			return
		}
		defer c.Close()
		r := bufio.NewReader(c)
		_, _ = http.ReadRequest(r)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst")
		_, err = r.ReadByte()
		left <- err
	}()
	second := serve(t, says("second"))
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, l.Addr().String()))
	if _, body, _, err := get(caller(t, false), socket.Address); err != nil || body != "first" {
		t.Fatalf("%q %v", body, err)
	}
	g.route(t, draining(entry(socket, gateway.HTTP, 2, second.address), 0, 1))
	if err := <-left; err != io.EOF {
		t.Error(err)
	}
}
