package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A proxy is something in front of one upstream, whose cost is measured.
type proxy struct {
	name    string
	address string
	pids    []int // of what is charged for a request; none: not charged
	end     func()
}

// The ports of this row: the upstream's, and one for each proxy.
const (
	upstreamPort = firstPort + 100
	proxyPort    = firstPort + 101 // and those after it
)

// serveProxy is the floor: a bare httputil.ReverseProxy with a tuned
// transport. It runs in a process of its own: lab proxy FROM TO.
func serveProxy(from, to string) error {
	target, err := url.Parse("http://" + to)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConns: 1024, MaxIdleConnsPerHost: 1024, IdleConnTimeout: 90 * time.Second, DisableCompression: true}
	buffers := &pool{sync.Pool{New: func() any { return new([32 << 10]byte) }}}
	return http.ListenAndServe(from, &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
		Transport: transport, BufferPool: buffers,
	})
}

type pool struct{ sync.Pool }

func (p *pool) Get() []byte  { return p.Pool.Get().(*[32 << 10]byte)[:] }
func (p *pool) Put(b []byte) { p.Pool.Put((*[32 << 10]byte)(b)) }

// peers are proxies that are measured where they are installed: their command
// lines, with the address they listen on and the upstream's.
var peers = []struct {
	name    string
	command func(dir, from, to string) ([]string, error)
}{
	{"nginx", func(dir, from, to string) ([]string, error) {
		conf := filepath.Join(dir, "nginx.conf")
		text := fmt.Sprintf("daemon off; worker_processes auto; pid %[1]s/pid; error_log %[1]s/error;\nevents { worker_connections 4096; }\nhttp { access_log off; keepalive_requests 1000000000; client_body_temp_path %[1]s; proxy_temp_path %[1]s; fastcgi_temp_path %[1]s; uwsgi_temp_path %[1]s; scgi_temp_path %[1]s;\nupstream u { server %[3]s; keepalive 128; keepalive_requests 1000000000; }\nserver { listen %[2]s; location / { proxy_pass http://u; proxy_http_version 1.1; proxy_set_header Connection \"\"; } } }\n", dir, from, to)
		return []string{"nginx", "-p", dir, "-c", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}},
	{"haproxy", func(dir, from, to string) ([]string, error) {
		conf := filepath.Join(dir, "haproxy.cfg")
		text := fmt.Sprintf("defaults\n mode http\n timeout client 60s\n timeout server 60s\n timeout connect 5s\nfrontend f\n bind %s\n default_backend b\nbackend b\n server s %s\n", from, to)
		return []string{"haproxy", "-db", "-f", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}},
	{"caddy", func(dir, from, to string) ([]string, error) {
		conf := filepath.Join(dir, "Caddyfile")
		text := fmt.Sprintf("{\n admin off\n auto_https off\n}\nhttp://:%s {\n bind 127.0.0.1\n reverse_proxy %s {\n transport http {\n keepalive_idle_conns_per_host 1024\n }\n }\n}\n", from[strings.LastIndexByte(from, ':')+1:], to)
		return []string{"caddy", "run", "--config", conf, "--adapter", "caddyfile"}, os.WriteFile(conf, []byte(text), 0o600)
	}},
	{"traefik", func(dir, from, to string) ([]string, error) {
		conf := filepath.Join(dir, "dynamic.yml")
		text := fmt.Sprintf("http:\n  routers:\n    r: {rule: 'PathPrefix(`/`)', service: s}\n  services:\n    s: {loadBalancer: {servers: [{url: 'http://%s'}]}}\n", to)
		return []string{"traefik", "--entrypoints.web.address=" + from, "--providers.file.filename=" + conf}, os.WriteFile(conf, []byte(text), 0o600)
	}},
}

// proxies: the gateway's cost per request, beside a bare reverse proxy and
// what else is installed.
func proxies(o options, v *verdicts) error {
	if err := errors.Join(claim(firstPort, 1), claim(upstreamPort, 2+len(peers))); err != nil {
		return err
	}
	a, err := listen()
	if err != nil {
		return err
	}
	defer a.close()
	f, err := newFloor()
	if err != nil {
		return err
	}
	defer f.end()
	if _, err := f.start(o, upstreamPort, a.path); err != nil {
		return err
	}
	if err := a.wait(1, time.Minute); err != nil {
		return err
	}
	list, err := startProxies(o)
	for _, p := range list {
		defer p.end()
	}
	if err != nil {
		return err
	}
	results := map[string][]burst{}
	for range o.rounds {
		for _, p := range list {
			b, err := ask(p, time.Duration(o.burst)*time.Second)
			if err != nil {
				return fmt.Errorf("%s: %w", p.name, err)
			}
			results[p.name] = append(results[p.name], b)
		}
	}
	report(list, results, v)
	return nil
}

func startProxies(o options) ([]proxy, error) {
	upstream := "127.0.0.1:" + strconv.Itoa(upstreamPort)
	list := []proxy{{name: "direct", address: upstream, end: func() {}}}
	self, err := os.Executable()
	if err != nil {
		return list, err
	}
	commands := map[string]func(dir, from, to string) ([]string, error){
		"bare ReverseProxy": func(_, from, to string) ([]string, error) { return []string{self, "proxy", from, to}, nil },
	}
	names := []string{"bare ReverseProxy"}
	for _, peer := range peers {
		path, err := findPeer(o, peer.name)
		if err != nil {
			fmt.Printf("  %s is not installed: not measured\n", peer.name)
			continue
		}
		names = append(names, peer.name)
		commands[peer.name] = func(dir, from, to string) ([]string, error) {
			args, err := peer.command(dir, from, to)
			return append([]string{path}, args[1:]...), err
		}
	}
	for i, name := range names {
		p, err := startProxy(name, "127.0.0.1:"+strconv.Itoa(proxyPort+i), upstream, commands[name])
		if err != nil {
			return list, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, p)
	}
	p, err := startGateway(o)
	if err != nil {
		return list, fmt.Errorf("stead: %w", err)
	}
	return append(list, p), nil
}

func startProxy(name, from, to string, command func(dir, from, to string) ([]string, error)) (proxy, error) {
	dir, err := os.MkdirTemp("", "proxy-")
	if err != nil {
		return proxy{}, err
	}
	args, err := command(dir, from, to)
	if err != nil {
		return proxy{}, err
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	// A session of its own, as any daemon has and stead's gateway too: Linux
	// schedules by session (sched_autogroup), and one that shares the session of
	// 64 callers has another p95.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return proxy{}, err
	}
	p := proxy{name: name, address: from, pids: []int{cmd.Process.Pid}, end: func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // nginx's workers too
		_ = cmd.Wait()
		_ = os.RemoveAll(dir)
	}}
	if err := answers(from); err != nil {
		p.end()
		return proxy{}, err
	}
	return p, nil
}

// startGateway runs one service behind stead's gateway; the service itself is
// not charged.
func startGateway(o options) (proxy, error) {
	a, err := listen()
	if err != nil {
		return proxy{}, err
	}
	s, err := newStead(o, manifest(o, 1, firstPort, a.path))
	if err != nil {
		return proxy{}, err
	}
	p := proxy{name: "stead-gateway", address: "127.0.0.1:" + strconv.Itoa(firstPort), end: func() { _, _, _ = s.end(); a.close() }}
	if _, err := s.run("up", "-d"); err != nil {
		p.end()
		return proxy{}, err
	}
	pids, err := s.pids()
	if err != nil {
		p.end()
		return proxy{}, err
	}
	for _, pid := range childrenOf(pids[1]) {
		line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if strings.Contains(string(line), "stead-gateway") {
			p.pids = append(p.pids, pid)
		}
	}
	return p, answers(p.address)
}

func answers(address string) error {
	var err error
	for range 200 {
		var conn net.Conn
		if conn, err = net.Dial("tcp", address); err == nil {
			return conn.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

func childrenOf(pid int) []int {
	var pids []int
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for _, field := range strings.Fields(string(text)) {
			if n, err := strconv.Atoi(field); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}

// A burst is what one proxy did for some seconds.
type burst struct {
	requests int
	took     time.Duration
	cpu      time.Duration
	latency  sample
}

// connections are kept open at once, for answers of so many bytes.
const (
	connections = 64
	answerSize  = 1024
)

// ask has 64 connections ask for 1 KiB, each again as soon as it is answered.
func ask(p proxy, duration time.Duration) (burst, error) {
	ctx, cancel := context.WithTimeout(context.Background(), duration)
	defer cancel()
	pids := slices.Clone(p.pids)
	for _, pid := range p.pids {
		pids = append(pids, childrenOf(pid)...) // nginx's, who come a moment after it answers
	}
	before, began := cpu(pids), time.Now()
	samples := make([]sample, connections)
	errs := make([]error, connections)
	var work sync.WaitGroup
	for i := range connections {
		work.Go(func() { samples[i], errs[i] = askOn(ctx, p.address) }) // ends with ctx
	}
	work.Wait()
	b := burst{took: time.Since(began), cpu: cpu(pids) - before}
	for i := range connections {
		if errs[i] != nil {
			return b, errs[i]
		}
		b.latency = append(b.latency, samples[i]...)
	}
	b.requests = len(b.latency)
	return b, nil
}

func askOn(ctx context.Context, address string) (sample, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	request := fmt.Appendf(nil, "GET /size?n=%d HTTP/1.1\r\nHost: bench\r\n\r\n", answerSize)
	r := bufio.NewReader(conn)
	var times sample
	for ctx.Err() == nil {
		began := time.Now()
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
		if n, err := readAnswer(r); err != nil || n != answerSize {
			return nil, fmt.Errorf("an answer of %d bytes: %w", n, err)
		}
		times = append(times, time.Since(began))
	}
	return times, nil
}

// readAnswer reads a response with a Content-Length, at little cost, and
// returns that.
func readAnswer(r *bufio.Reader) (int, error) {
	length := -1
	for first := true; ; first = false {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		switch {
		case first && !strings.Contains(text, " 200"):
			return 0, fmt.Errorf("answered %q", text)
		case text == "":
			return r.Discard(max(0, length))
		case len(text) > 15 && strings.EqualFold(text[:15], "content-length:"):
			if length, err = strconv.Atoi(strings.TrimSpace(text[15:])); err != nil {
				return 0, err
			}
		}
	}
}

func report(list []proxy, results map[string][]burst, v *verdicts) {
	perRequest, p95 := map[string]float64{}, map[string]float64{}
	fmt.Printf("HTTP/1.1, 1 KiB, %d connections\n  %-20s %12s %10s %10s %14s\n", connections, "", "requests/s", "p50 ms", "p95 ms", "CPU us/request")
	for _, p := range list {
		var all burst
		for _, b := range results[p.name] {
			all.requests += b.requests
			all.took += b.took
			all.cpu += b.cpu
			all.latency = append(all.latency, b.latency...)
		}
		perRequest[p.name] = float64(all.cpu.Microseconds()) / float64(all.requests)
		p95[p.name] = float64(all.latency.percentile(95)) / 1e6
		fmt.Printf("  %-20s %12.0f %10.2f %10.2f %14.1f\n", p.name, float64(all.requests)/all.took.Seconds(),
			float64(all.latency.percentile(50))/1e6, p95[p.name], perRequest[p.name])
	}
	const ours, floor = "stead-gateway", "bare ReverseProxy"
	fmt.Printf("  stead-gateway to the bare ReverseProxy: CPU %.2f, p95 %.2f\n", perRequest[ours]/perRequest[floor], p95[ours]/p95[floor])
	v.check("CPU per request <= 1.2 x the bare ReverseProxy", perRequest[ours] <= 1.2*perRequest[floor])
	v.check("p95 <= 1.2 x the bare ReverseProxy", p95[ours] <= 1.2*p95[floor])
	for _, peer := range []string{"caddy", "traefik"} {
		if cost, ok := perRequest[peer]; ok {
			v.check("CPU per request below "+peer, perRequest[ours] < cost)
		}
	}
}
