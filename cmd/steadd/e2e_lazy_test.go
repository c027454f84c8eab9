package main_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// newClient returns a client that makes a connection of its own for each
// request, and waits longer than any caller is held.
func newClient() *http.Client {
	return &http.Client{Timeout: 2 * patience, Transport: &http.Transport{DisableKeepAlives: true}}
}

// ask returns the body of an answer, which must be 200.
func ask(client *http.Client, url string) (string, error) {
	res, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, body)
	}
	return strings.TrimSpace(string(body)), err
}

// call makes a gRPC call over h2c: its own message comes back, and a status.
func call(port int) error {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := http.Client{Timeout: 2 * patience, Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	message := "\x00\x00\x00\x00\x05hello"
	res, err := client.Post(fmt.Sprintf("http://127.0.0.1:%d/any.Service/Method", port), "application/grpc", strings.NewReader(message))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && (string(body) != message || res.Trailer.Get("Grpc-Status") != "0") {
		err = fmt.Errorf("answer %q, header %v, trailer %v", body, res.Header, res.Trailer)
	}
	return err
}

// echo sends bytes over TCP at once, and has them back after a first line.
func echo(port int) error {
	c, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), patience)
	if err != nil {
		return err
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * patience))
	if _, err := io.WriteString(c, "bytes that wait\n"); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	first, err := r.ReadString('\n')
	if err != nil {
		return fmt.Errorf("first line %q: %w", first, err)
	}
	if back, err := r.ReadString('\n'); err != nil || back != "bytes that wait\n" {
		return fmt.Errorf("back came %q: %w", back, err)
	}
	return nil
}

// Whatever comes first wakes a service, and all that come meanwhile wait.
func TestFirstCallersOfEveryKindAreServed(t *testing.T) {
	web, grpc, tcp := freePort(), freePort(), freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen -delay 300ms, ports: {http: %d}, start: on-demand, depends_on: [store]}
  rpc: {command: service -listen -delay 300ms, ports: {grpc: %d}, start: on-demand}
  raw: {command: service -echo, ports: {db: {port: %d, protocol: tcp}}, start: on-demand, depends_on: [store]}
  store: {command: service -listen, ports: {http: auto}, start: on-demand}
`, web, grpc, tcp))
	h.ok("up", "-d")
	for name, s := range h.status() {
		if s.Phase != "stopped" || len(s.Instances) > 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	var callers sync.WaitGroup
	for range 20 {
		callers.Go(func() {
			if _, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", web)); err != nil {
				t.Errorf("http: %v", err)
			}
		})
		callers.Go(func() {
			if err := call(grpc); err != nil {
				t.Errorf("grpc: %v", err)
			}
		})
		callers.Go(func() {
			if err := echo(tcp); err != nil {
				t.Errorf("tcp: %v", err)
			}
		})
	}
	callers.Wait()
	for name, s := range h.status() {
		if s.Phase != "ready" || s.Generation != 1 {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// A request that takes longer than idle is not cut off by it, nor is one that
// comes to a service which only runs for another one.
func TestInUseIsNotIdle(t *testing.T) {
	web, store := freePort(), freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen, ports: {http: %d}, start: on-demand, idle: 1s, depends_on: [store]}
  store: {command: service -listen, ports: {http: %d}, start: on-demand, idle: 1s}
`, web, store))
	h.ok("up", "-d")
	if _, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", web)); err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	over := make(chan error, 1)
	go func() { // ends with ctx
		request, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%d/slow?for=1h", store), nil)
		if err == nil {
			_, err = http.DefaultTransport.RoundTrip(request)
		}
		over <- err
	}()
	h.until("web sleeps", patience, func() bool { return h.status()["web"].Phase == "stopped" })
	time.Sleep(2 * time.Second) // more than store's idle
	select {
	case err := <-over:
		t.Errorf("the request was cut off: %v", err)
	default:
	}
	if s := h.status()["store"]; s.Phase != "ready" {
		t.Errorf("store sleeps under its caller: %+v", s)
	}
	leave()
	h.until("store sleeps", patience, func() bool { return h.status()["store"].Phase == "stopped" })
}

// A port that somebody else has is said of a service that sleeps, too: it
// would never be called. It heals by itself.
func TestPortsOfOthers(t *testing.T) {
	lazy, proxied, inherited := listen(t), listen(t), listen(t)
	h := newHomestead(t, fmt.Sprintf(`
services:
  lazy: {command: service -listen, ports: {http: %d}, start: on-demand}
  proxied: {command: service -listen, ports: {http: %d}}
  inherited: {command: service -listen -inherit -say READY=1, ports: {http: {port: %d, mode: inherit}}, ready: notify}
`, portOf(lazy), portOf(proxied), portOf(inherited)))
	names := map[string]net.Listener{"lazy": lazy, "proxied": proxied, "inherited": inherited}
	for name, l := range names {
		out, code := h.stead("up", "-d", name)
		if want := fmt.Sprintf("127.0.0.1:%d is already taken by pid", portOf(l)); code != 4 || !strings.Contains(out, want) {
			t.Errorf("up of %s ended with %d, and not with %q:\n%s", name, code, want, out)
		}
		if out := h.ok("why", name); !strings.Contains(out, "nobody can call it") || !strings.Contains(out, "stop that program") {
			t.Errorf("why %s: %s", name, out)
		}
	}
	for name, l := range names {
		_ = l.Close()
		var last bytes.Buffer
		h.until(name+" heals", patience, func() bool {
			answer, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", portOf(l)))
			last.Reset()
			fmt.Fprint(&last, answer, err)
			return err == nil && strings.Contains(answer, "/"+name+"/")
		})
		t.Logf("%s: %s", name, &last)
	}
	h.ok("up", "-d")
}

// A port that is another service's private one is said to be that, and free
// when that service was restarted.
func TestPortsThatArePrivate(t *testing.T) {
	const web = "services:\n  web: {command: service -listen, ports: {http: auto}}\n"
	h := newHomestead(t, web)
	h.ok("up", "-d")
	_, private, err := net.SplitHostPort(h.status()["web"].Instances[0].Endpoints["http"])
	if err != nil {
		t.Fatal(err)
	}
	h.write("stead.yaml", web+"  db: {command: service -listen, ports: {http: "+private+"}}\n")
	if out, code := h.stead("up", "-d"); code != 4 || !strings.Contains(out, "it is a private port of ") {
		t.Errorf("up ended with %d:\n%s", code, out)
	}
	if out := h.ok("why", "db"); !strings.Contains(out, "/web, and a restart of that service frees it") || !strings.Contains(out, "`stead restart` that service") {
		t.Errorf("why: %s", out)
	}
	h.ok("restart", "web")
	h.until("db is called", patience, func() bool {
		answer, err := ask(newClient(), "http://127.0.0.1:"+private+"/")
		return err == nil && strings.Contains(answer, "/db/")
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func portOf(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }
