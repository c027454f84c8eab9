package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// TestMain is also what BenchmarkBesideABareProxy measures: a process of its
// own, so that its CPU time is its own; and the callers of TestManyParked, so
// that their descriptors are.
func TestMain(m *testing.M) {
	switch os.Getenv("STEAD_TEST_PROXY") {
	case "":
		os.Exit(m.Run())
	case "gateway":
		beGateway()
	case "bare":
		beBare()
	case "crowd":
		beCrowd()
	}
}

const proxySocket = "web/http"

func beGateway() {
	f := os.NewFile(3, "socket")
	l, err := net.FileListener(f)
	check(err)
	socket := gateway.Socket{Name: proxySocket, Address: l.Addr().String()}
	_ = l.Close()
	s, err := gateway.New(gateway.Options{Sockets: &spine{files: map[gateway.Socket]*os.File{socket: f}}, Log: discard()})
	check(err)
	check(s.Apply(gateway.Change{Set: []gateway.Service{entry(socket, gateway.HTTP, 1, os.Getenv("STEAD_TEST_UPSTREAM"))}}))
	_, _ = io.Copy(io.Discard, os.Stdin) // until the benchmark has done
	s.Close()
}

// beBare is the floor: the library's proxy, with a transport that keeps enough
// connections, and buffers that are used again.
func beBare() {
	l, err := net.FileListener(os.NewFile(3, "socket"))
	check(err)
	upstream := os.Getenv("STEAD_TEST_UPSTREAM")
	proxy := &httputil.ReverseProxy{
		Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true},
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", upstream
			r.SetXForwarded()
		},
		BufferPool: new(bufferPool),
	}
	server := &http.Server{Handler: proxy, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	_, _ = io.Copy(io.Discard, os.Stdin)
	_ = server.Close()
}

type bufferPool struct{ sync.Pool }

func (p *bufferPool) Get() []byte {
	if b, ok := p.Pool.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *bufferPool) Put(b []byte) { p.Pool.Put(&b) }

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// BenchmarkBesideABareProxy reports CPU per request and p95 of the gateway,
// and both as ratios to httputil.ReverseProxy, in rounds that take turns.
func BenchmarkBesideABareProxy(b *testing.B) {
	const rounds, callers = 4, 8
	upstream := serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(make([]byte, 1024))
	}))
	cpu, times := map[string]time.Duration{}, map[string][]time.Duration{}
	for range rounds {
		for _, role := range []string{"bare", "gateway"} {
			used, took := measure(b, role, upstream.address, callers, max(b.N/rounds, callers))
			cpu[role] += used
			times[role] = append(times[role], took...)
		}
	}
	per := func(role string) float64 {
		return float64(cpu[role].Nanoseconds()) / 1e3 / float64(len(times[role]))
	}
	p95 := func(role string) float64 {
		slices.Sort(times[role])
		return float64(times[role][len(times[role])*95/100].Nanoseconds()) / 1e3
	}
	b.ReportMetric(per("gateway"), "cpu-us/request")
	b.ReportMetric(per("gateway")/per("bare"), "cpu-ratio")
	b.ReportMetric(p95("gateway"), "p95-us")
	b.ReportMetric(p95("gateway")/p95("bare"), "p95-ratio")
	b.ReportMetric(0, "ns/op")
}

// measure starts a proxy, asks it n times, and returns its CPU time and how
// long each answer took.
func measure(b *testing.B, role, upstream string, callers, n int) (time.Duration, []time.Duration) {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(b, err)
	f, err := l.(*net.TCPListener).File()
	must(b, err)
	address := l.Addr().String()
	must(b, l.Close())
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STEAD_TEST_PROXY="+role, "STEAD_TEST_UPSTREAM="+upstream)
	cmd.ExtraFiles = []*os.File{f}
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	must(b, cmd.Start())
	_ = f.Close()
	took := make([][]time.Duration, callers)
	var all sync.WaitGroup
	for i := range callers {
		c := caller(b, false)
		all.Go(func() {
			for range n / callers {
				began := time.Now()
				status, _, _, err := get(c, address)
				if err != nil || status != 200 {
					b.Errorf("%s: %d, %v", role, status, err)
					return
				}
				took[i] = append(took[i], time.Since(began))
			}
		})
	}
	all.Wait()
	must(b, in.Close())
	must(b, cmd.Wait())
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), slices.Concat(took...)
}
