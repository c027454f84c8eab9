package gateway_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// patience ends what hangs; nothing is expected to come near it.
const patience = 30 * time.Second

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spine has listening sockets, and gives duplicates away as the runtime does.
type spine struct {
	mu    sync.Mutex
	files map[gateway.Socket]*os.File
}

// bind binds a socket on loopback and returns it.
func (s *spine) bind(t testing.TB, name string) gateway.Socket {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	must(t, err)
	t.Cleanup(func() { _ = f.Close() })
	socket := gateway.Socket{Name: name, Address: l.Addr().String()}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.files == nil {
		s.files = map[gateway.Socket]*os.File{}
	}
	s.files[socket] = f
	return socket
}

func (s *spine) Listen(_ context.Context, wanted []gateway.Socket) ([]net.Listener, []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	listeners, errs := make([]net.Listener, len(wanted)), make([]error, len(wanted))
	for i, socket := range wanted {
		if f := s.files[socket]; f != nil {
			listeners[i], errs[i] = net.FileListener(f)
		} else {
			errs[i] = fmt.Errorf("nobody has bound %s", socket.Address)
		}
	}
	return listeners, errs
}

// gate is a gateway with the daemon's half beside it.
type gate struct {
	*gateway.Server
	client *gateway.Client
	heard  *heard
	leave  func() // the daemon dies
	close  func()
}

// open starts a gateway; it is closed at the end of the test at the latest.
func open(t testing.TB, o gateway.Options) *gate {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	server, err := gateway.New(o)
	must(t, err)
	must(t, server.Load(t.Context()))
	path := filepath.Join(shortDir(t), "c")
	l, err := gateway.ListenControl(path)
	must(t, err)
	g := &gate{Server: server, client: gateway.NewClient(path, o.Log), heard: &heard{}}
	ctx, cancel := context.WithCancel(context.Background())
	var tasks sync.WaitGroup
	tasks.Go(func() {
		if err := server.ServeControl(l); err != nil {
			t.Errorf("control: %v", err)
		}
	})
	tasks.Go(func() { _ = g.client.Watch(ctx, g.heard.hear) })
	g.leave = cancel
	g.close = sync.OnceFunc(func() {
		cancel()
		server.Close()
		tasks.Wait()
	})
	t.Cleanup(g.close)
	return g
}

// shortDir is a directory whose name leaves room for a socket's.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gw")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// route applies entries through the control API, and waits for listeners.
func (g *gate) route(t testing.TB, set ...gateway.Service) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must(t, g.client.Apply(ctx, gateway.Change{Set: set}))
	must(t, g.Settle(ctx))
}

// heard collects reports.
type heard struct {
	mu  sync.Mutex
	all []gateway.Report
}

func (h *heard) hear(r gateway.Report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all = append(h.all, r)
}

// await waits until a report is there for which match holds.
func (h *heard) await(t testing.TB, what string, match func(gateway.Report) bool) gateway.Report {
	t.Helper()
	var found gateway.Report
	eventually(t, what, func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		i := slices.IndexFunc(h.all, match)
		if i >= 0 {
			found = h.all[i]
		}
		return i >= 0
	})
	return found
}

func (h *heard) drained(t testing.TB, id string, number uint64) {
	t.Helper()
	h.await(t, fmt.Sprintf("%s/%d drained", id, number), func(r gateway.Report) bool {
		return r.Kind == gateway.Drained && r.Service == id && r.Generation == number
	})
}

func (h *heard) waiting(t testing.TB, id string) {
	t.Helper()
	h.await(t, id+" waited for", func(r gateway.Report) bool {
		return r.Kind == gateway.Waiting && r.Service == id && !r.Over
	})
}

func (h *heard) count(match func(gateway.Report) bool) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, r := range h.all {
		if match(r) {
			n++
		}
	}
	return n
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not in time: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// entry is a service "shop/web" with one port.
func entry(socket gateway.Socket, p gateway.Protocol, number uint64, endpoints ...string) gateway.Service {
	s := gateway.Service{
		ID:         "shop/web",
		Listeners:  []gateway.Listener{{Name: socket.Name, Addresses: []string{socket.Address}, Port: "main", Protocol: p}},
		State:      gateway.Serving,
		Generation: number,
		Endpoints:  map[string][]string{"main": endpoints},
	}
	return s
}

func held(socket gateway.Socket, p gateway.Protocol) gateway.Service {
	s := entry(socket, p, 0)
	s.State, s.Endpoints = gateway.Held, nil
	return s
}

func draining(s gateway.Service, limit time.Duration, numbers ...uint64) gateway.Service {
	for _, n := range numbers {
		d := gateway.Draining{Generation: n}
		if limit > 0 {
			d.Deadline = time.Now().Add(limit)
		}
		s.Draining = append(s.Draining, d)
	}
	return s
}

// backend is a process of a service.
type backend struct {
	address string
	server  *http.Server
	done    chan struct{}
}

// serve starts a backend that speaks HTTP/1.1 and h2c.
func serve(t testing.TB, h http.Handler) *backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	return serveOn(t, l, h)
}

func serveOn(t testing.TB, l net.Listener, h http.Handler) *backend {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	b := &backend{l.Addr().String(), &http.Server{Handler: h, Protocols: &p, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}, make(chan struct{})}
	go func() {
		defer close(b.done)
		_ = b.server.Serve(l)
	}()
	t.Cleanup(b.kill)
	return b
}

// kill is what SIGKILL does to a process: all its sockets close.
func (b *backend) kill() {
	_ = b.server.Close()
	<-b.done
}

// says answers with a text.
func says(text string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
}

// caller returns a client with connections of its own.
func caller(t testing.TB, h2 bool) *http.Client {
	t.Helper()
	var p http.Protocols
	if h2 {
		p.SetUnencryptedHTTP2(true)
	} else {
		p.SetHTTP1(true)
	}
	tr := &http.Transport{Protocols: &p, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 2 * patience}
}

// get returns the status and body of a GET, and the response for its header.
func get(c *http.Client, address string, header ...string) (int, string, *http.Response, error) {
	r, err := http.NewRequest(http.MethodGet, "http://"+address+"/", nil)
	if err != nil {
		return 0, "", nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(r)
	if err != nil {
		return 0, "", nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), res, err
}
