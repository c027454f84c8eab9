package main_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// callers are clients of every kind that ask an HTTP service and a TCP one
// all the time, each again as soon as it was answered.
type callers struct {
	t    *testing.T
	stop context.CancelFunc
	work sync.WaitGroup

	mu       sync.Mutex
	answered map[string]int
	lost     []error // what was not answered
}

// callPause keeps a load small: two cores are shared by all that runs.
const callPause = 3 * time.Millisecond

// callAll begins to call, until end. A port of zero is not called.
func callAll(t *testing.T, web, tcp int) *callers {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	c := &callers{t: t, stop: stop, answered: map[string]int{}}
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	kinds := map[string]func() error{
		"kept alive": overHTTP(http.MethodGet, web, &http.Transport{}),
		"new":        overHTTP(http.MethodGet, web, &http.Transport{DisableKeepAlives: true}),
		"POST":       overHTTP(http.MethodPost, web, &http.Transport{}),
		"h2c":        overHTTP(http.MethodGet, web, &http.Transport{Protocols: h2}),
	}
	if tcp != 0 {
		kinds["TCP"] = func() error { return overTCP(tcp) }
	}
	for kind, ask := range kinds {
		c.answered[kind] = 0
		c.work.Go(func() { c.keepAsking(ctx, kind, ask) }) // until stop
	}
	t.Cleanup(func() { stop(); c.work.Wait() })
	c.more(3)
	return c
}

func (c *callers) keepAsking(ctx context.Context, kind string, ask func() error) {
	for ctx.Err() == nil {
		err := ask()
		c.mu.Lock()
		if err == nil {
			c.answered[kind]++
		} else {
			c.lost = append(c.lost, fmt.Errorf("%s: %w", kind, err))
		}
		c.mu.Unlock()
		time.Sleep(callPause)
	}
}

// more waits until each kind has been answered n times from now on.
func (c *callers) more(n int) {
	c.t.Helper()
	c.mu.Lock()
	want := map[string]int{}
	for kind, had := range c.answered {
		want[kind] = had + n
	}
	c.mu.Unlock()
	missing := func() string {
		c.mu.Lock()
		defer c.mu.Unlock()
		for kind, n := range want {
			if c.answered[kind] < n {
				return fmt.Sprintf("%s: %d of %d, lost %v", kind, c.answered[kind], n, c.lost)
			}
		}
		return ""
	}
	for end := time.Now().Add(callLimit); missing() != ""; time.Sleep(callPause) {
		if time.Now().After(end) {
			c.t.Fatalf("callers are not answered: %s", missing())
		}
	}
}

// end stops the calls, and returns what was lost.
func (c *callers) end() []error {
	c.stop()
	c.work.Wait()
	c.t.Logf("answered %v, lost %d", c.answered, len(c.lost))
	return c.lost
}

// none ends the calls, of which none may have been lost.
func (c *callers) none() {
	c.t.Helper()
	c.complain(c.end())
}

// onlyCut ends the calls: those that were in the hands of what was killed may
// have been cut, but none may have been refused, or answered wrong.
func (c *callers) onlyCut() {
	c.t.Helper()
	c.complain(slices.DeleteFunc(c.end(), func(err error) bool {
		var answer *wrongAnswer
		return !errors.Is(err, syscall.ECONNREFUSED) && !errors.As(err, &answer)
	}))
}

// complain shows the first few of many that are alike.
func (c *callers) complain(lost []error) {
	c.t.Helper()
	for _, err := range lost[:min(5, len(lost))] {
		c.t.Errorf("%d lost: %v", len(lost), err)
	}
}

// wrongAnswer is an answer, but not that of the service.
type wrongAnswer struct{ text string }

func (w *wrongAnswer) Error() string { return "answered " + w.text }

// callLimit is how long a call may take: longer than any caller is held.
const callLimit = 2 * patience

func overHTTP(method string, port int, transport *http.Transport) func() error {
	client := http.Client{Transport: transport, Timeout: callLimit}
	return func() error {
		req, err := http.NewRequest(method, fmt.Sprintf("http://127.0.0.1:%d/", port), nil)
		if err != nil {
			return err
		}
		if method == http.MethodPost {
			req.Body = io.NopCloser(strings.NewReader("hello")) // without GetBody: never sent twice
		}
		res, err := client.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != http.StatusOK || !strings.Contains(string(text), " local/")) {
			err = &wrongAnswer{fmt.Sprintf("%s: %s", res.Status, text)}
		}
		return err
	}
}

func overTCP(port int) error {
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(callLimit))
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	text, err := io.ReadAll(conn)
	if err == nil && !strings.HasSuffix(string(text), "\nhello\n") {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// stream is a connection that is to live long: server-sent events, or TCP.
type stream struct {
	t     *testing.T
	conn  net.Conn
	lines *bufio.Reader
	echo  bool
}

func openEvents(t *testing.T, port int) *stream {
	t.Helper()
	s := openStream(t, port)
	if _, err := io.WriteString(s.conn, "GET /events HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	return s
}

func openEcho(t *testing.T, port int) *stream {
	t.Helper()
	s := openStream(t, port)
	s.echo = true
	return s
}

func openStream(t *testing.T, port int) *stream {
	t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	return &stream{t: t, conn: conn, lines: bufio.NewReader(conn)}
}

// flows fails the test when nothing passes any more.
func (s *stream) flows() {
	s.t.Helper()
	want := "data:"
	if s.echo {
		want = fmt.Sprintln(time.Now().UnixNano())
		if _, err := io.WriteString(s.conn, want); err != nil {
			s.t.Fatalf("a stream was cut: %v", err)
		}
	}
	for seen := 0; seen < 2; {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("a stream was cut: %v", err)
		}
		switch {
		case s.echo && line == want:
			return
		case !s.echo && strings.HasPrefix(line, want):
			seen++ // the first one may have been on its way
		}
	}
}
