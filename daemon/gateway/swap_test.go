package gateway_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// load asks every few milliseconds until stop is closed.
type load struct {
	name string
	ask  func() error
	n    atomic.Int64
}

func (l *load) run(t *testing.T, stop <-chan struct{}) {
	pace := time.NewTicker(4 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-stop:
			return
		case <-pace.C:
		}
		if err := l.ask(); err != nil {
			t.Errorf("%s, request %d: %v", l.name, l.n.Load(), err)
			return
		}
		l.n.Add(1)
	}
}

// askHTTP returns a function that makes requests with and without a body, on
// connections that are kept or not.
func askHTTP(t *testing.T, address string, h2, fresh bool) func() error {
	c := caller(t, h2)
	if fresh {
		c.Transport.(*http.Transport).DisableKeepAlives = true
	}
	n := 0
	return func() error {
		n++
		var res *http.Response
		var err error
		if n%2 == 0 {
			res, err = c.Get("http://" + address)
		} else {
			res, err = c.Post("http://"+address, "text/plain", strings.NewReader("ping"))
		}
		if err != nil {
			return err
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		if err == nil && (res.StatusCode != 200 || string(body) != "pong") {
			err = fmt.Errorf("%s: %s", res.Status, body)
		}
		return err
	}
}

func askTCP(address string) func() error {
	return func() error {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer c.Close()
		if _, err := io.WriteString(c, "ping\n"); err != nil {
			return err
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err == nil && line != "ping\n" {
			err = fmt.Errorf("got %q", line)
		}
		return err
	}
}

func pong() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "pong")
	})
}

// TestNothingIsLostOverFiftySwaps: each generation is killed as soon as the
// gateway has said that it is drained.
func TestNothingIsLostOverFiftySwaps(t *testing.T) {
	var sp spine
	web, raw := sp.bind(t, "shop/web/http"), sp.bind(t, "shop/db/tcp")
	g := open(t, gateway.Options{Sockets: &sp})
	var lastWeb *backend
	var lastRaw *echo
	swap := func(number uint64) {
		b, e := serve(t, pong()), echoes(t)
		w, r := entry(web, gateway.HTTP, number, b.address), entry(raw, gateway.TCP, number, e.address)
		r.ID = "shop/db"
		if number > 1 {
			w, r = draining(w, 0, number-1), draining(r, 0, number-1)
		}
		g.route(t, w, r)
		if number > 1 {
			g.heard.drained(t, "shop/web", number-1)
			g.heard.drained(t, "shop/db", number-1)
			lastWeb.kill()
			lastRaw.kill()
		}
		lastWeb, lastRaw = b, e
	}
	swap(1)
	loads := []*load{
		{name: "HTTP/1.1 kept alive", ask: askHTTP(t, web.Address, false, false)},
		{name: "HTTP/1.1 new", ask: askHTTP(t, web.Address, false, true)},
		{name: "h2c kept alive", ask: askHTTP(t, web.Address, true, false)},
		{name: "h2c new", ask: askHTTP(t, web.Address, true, true)},
		{name: "gRPC", ask: askGRPCHealth(t, &sp, g)},
		{name: "TCP", ask: askTCP(raw.Address)},
	}
	stop := make(chan struct{})
	var callers sync.WaitGroup
	for _, l := range loads {
		callers.Go(func() { l.run(t, stop) })
	}
	swaps := uint64(51)
	for number := uint64(2); number <= swaps; number++ {
		before := loads[0].n.Load()
		swap(number)
		eventually(t, "requests between swaps", func() bool { return loads[0].n.Load() > before+3 || t.Failed() })
	}
	close(stop)
	callers.Wait()
	for _, l := range loads {
		t.Logf("%s: %d requests", l.name, l.n.Load())
		if l.n.Load() == 0 {
			t.Errorf("%s: no request", l.name)
		}
	}
}

// echo is a service of plain TCP.
type echo struct {
	address string
	l       net.Listener
	tasks   sync.WaitGroup
	mu      sync.Mutex
	conns   []net.Conn
}

func echoes(t testing.TB) *echo {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	e := &echo{address: l.Addr().String(), l: l}
	e.tasks.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			e.mu.Lock()
			e.conns = append(e.conns, c)
			e.mu.Unlock()
			e.tasks.Go(func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
				_ = c.(*net.TCPConn).CloseWrite()
			})
		}
	})
	t.Cleanup(e.kill)
	return e
}

func (e *echo) kill() {
	_ = e.l.Close()
	e.mu.Lock()
	for _, c := range e.conns {
		_ = c.Close()
	}
	e.mu.Unlock()
	e.tasks.Wait()
}

func TestHalfCloseIsPassedOnBothWays(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/db/tcp")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.TCP, 1, echoes(t).address))
	c, err := net.Dial("tcp", socket.Address)
	must(t, err)
	defer c.Close()
	data := strings.Repeat("stead", 1<<18)
	go func() {
		_, _ = io.WriteString(c, data)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != data {
		t.Errorf("%d bytes of %d, %v", len(got), len(data), err)
	}
}

func TestTCPWaitsAndItsBytesToo(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/db/tcp")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, held(socket, gateway.TCP))
	got := make(chan error, 1)
	go func() { got <- askTCP(socket.Address)() }()
	g.heard.waiting(t, "shop/web")
	g.route(t, entry(socket, gateway.TCP, 1, echoes(t).address))
	must(t, <-got)
}

// TestTheDrainLimitCutsWhatIsLeft: connections that are never ended count as
// in flight until the limit, and no longer.
func TestTheDrainLimitCutsWhatIsLeft(t *testing.T) {
	var sp spine
	web, raw := sp.bind(t, "shop/web/http"), sp.bind(t, "shop/db/tcp")
	g := open(t, gateway.Options{Sockets: &sp})
	r := func(number uint64, limit time.Duration, numbers ...uint64) {
		w := draining(entry(web, gateway.HTTP, number, serve(t, http.HandlerFunc(upgraded)).address), limit, numbers...)
		r := draining(entry(raw, gateway.TCP, number, echoes(t).address), limit, numbers...)
		r.ID = "shop/db"
		g.route(t, w, r)
	}
	r(1, 0)
	ws, wsr := upgrade(t, web.Address)
	_, err := io.WriteString(ws, "x\n")
	must(t, err)
	_, err = wsr.ReadString('\n')
	must(t, err)
	c, err := net.Dial("tcp", raw.Address)
	must(t, err)
	defer c.Close()
	_, err = io.WriteString(c, "x\n")
	must(t, err)
	cr := bufio.NewReader(c)
	_, err = cr.ReadString('\n')
	must(t, err)
	r(2, time.Hour, 1)
	r(3, time.Hour, 1, 2)
	g.heard.drained(t, "shop/web", 2)
	if n := g.heard.count(func(r gateway.Report) bool { return r.Kind == gateway.Drained && r.Generation == 1 }); n != 0 {
		t.Fatalf("drained with connections in flight: %d reports", n)
	}
	_, err = io.WriteString(ws, "still\n") // before the limit it lives
	must(t, err)
	_, err = wsr.ReadString('\n')
	must(t, err)
	r(4, time.Millisecond, 1, 3)
	g.heard.drained(t, "shop/web", 1)
	g.heard.drained(t, "shop/db", 1)
	for _, r := range []*bufio.Reader{wsr, cr} {
		if _, err := r.ReadString('\n'); err == nil {
			t.Error("a connection lives beyond the limit")
		}
	}
}

// TestAGenerationThatLeftTheTableIsCut: also when the daemon never says when.
func TestAGenerationThatLeftTheTableIsCut(t *testing.T) {
	t.Parallel() // it waits for DefaultDrain
	var sp spine
	web := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(web, gateway.HTTP, 1, serve(t, http.HandlerFunc(upgraded)).address))
	_, r := upgrade(t, web.Address)
	g.route(t, entry(web, gateway.HTTP, 2, serve(t, says("x")).address))
	if _, err := r.ReadString('\n'); err == nil {
		t.Error("it lives")
	}
}

func TestGarbageIsAnsweredWithABadGateway(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "garbage\x00\xff\r\n\r\n")
			_ = c.Close()
		}
	}()
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, l.Addr().String()))
	both(t, func(t *testing.T, c *http.Client) {
		status, body, _, err := get(c, socket.Address)
		if err != nil || status != http.StatusBadGateway || !strings.Contains(body, "shop/web") {
			t.Errorf("%d %q %v", status, body, err)
		}
	})
}

// TestADyingProcessIsAskedOnceMore: its connection ends before the first byte
// of an answer. What may not be sent twice is not.
func TestADyingProcessIsAskedOnceMore(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	var asked atomic.Int64
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			panic(http.ErrAbortHandler)
		}
		_, _ = io.WriteString(w, "second")
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		asked.Store(0)
		if status, body, _, err := get(c, socket.Address); err != nil || status != 200 || body != "second" {
			t.Errorf("GET: %d %q %v", status, body, err)
		}
		asked.Store(0)
		res, err := c.Post("http://"+socket.Address, "", strings.NewReader("x"))
		must(t, err)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusBadGateway || asked.Load() != 1 {
			t.Errorf("POST: %s, asked %d times", res.Status, asked.Load())
		}
	})
}

func TestABrokenAnswerBreaksTheCallersToo(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 1<<16))
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		if _, _, _, err := get(c, socket.Address); err == nil {
			t.Error("half an answer was passed as a whole one")
		}
	})
}

func TestSlowHeadersEnd(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp, Limits: gateway.Limits{HeaderTime: 50 * time.Millisecond, Conns: 2}})
	g.route(t, entry(socket, gateway.HTTP, 1, serve(t, says("x")).address))
	for range 5 { // more than there is room for
		c, err := net.Dial("tcp", socket.Address)
		must(t, err)
		defer c.Close()
		_, _ = io.WriteString(c, "GET / HTTP/1.1\r\nHost:")
	}
	if status, _, _, err := get(caller(t, false), socket.Address); err != nil || status != 200 {
		t.Errorf("behind slow ones: %d, %v", status, err)
	}
}

func TestAKeptConnectionFollowsItsPort(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, serve(t, says("web")).address))
	c := caller(t, false)
	if _, body, _, err := get(c, socket.Address); err != nil || body != "web" {
		t.Fatal(body, err)
	}
	other := entry(socket, gateway.HTTP, 1, serve(t, says("other")).address)
	other.ID = "shop/other"
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, g.client.Apply(ctx, gateway.Change{Set: []gateway.Service{other}, Remove: []string{"shop/web"}}))
	if _, body, _, err := get(c, socket.Address); err != nil || body != "other" {
		t.Errorf("moved: %q, %v", body, err)
	}
	must(t, g.client.Apply(ctx, gateway.Change{Remove: []string{"shop/other"}}))
	if status, _, _, err := get(c, socket.Address); err != nil || status != 503 {
		t.Errorf("removed: %d, %v", status, err)
	}
}
