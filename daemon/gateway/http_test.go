package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"

	"github.com/stead-dev/stead/daemon/gateway"
)

// both runs a test over HTTP/1.1 and h2c.
func both(t *testing.T, f func(t *testing.T, c *http.Client)) {
	t.Run("http1", func(t *testing.T) { f(t, caller(t, false)) })
	t.Run("h2c", func(t *testing.T) { f(t, caller(t, true)) })
}

func TestARequestArrivesAsItWasSent(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s|%s|%s|%s|%s", r.Proto, r.Method, r.RequestURI, r.Host,
			r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Host"), r.Header.Get("X-Forwarded-Proto"), body)
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		r, err := http.NewRequest(http.MethodPost, "http://"+socket.Address+"/a%2Fb//c?x=1;y=%zz&z", strings.NewReader("hello"))
		must(t, err)
		r.Host = "shop.example"
		r.Header.Set("X-Forwarded-For", "6.6.6.6") // a lie
		res, err := c.Do(r)
		must(t, err)
		defer res.Body.Close()
		got, err := io.ReadAll(res.Body)
		must(t, err)
		want := res.Proto + " POST /a%2Fb//c?x=1;y=%zz&z shop.example|127.0.0.1|shop.example|http|hello"
		if string(got) != want {
			t.Errorf("the service saw\n%s, want\n%s", got, want)
		}
	})
}

func TestTrailersPass(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "body")
		w.Header().Set("X-Sum", "of "+r.Trailer.Get("X-Asked"))
		w.Header().Set(http.TrailerPrefix+"X-Late", "yes")
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		r, err := http.NewRequest(http.MethodPost, "http://"+socket.Address, io.NopCloser(strings.NewReader("q")))
		must(t, err)
		r.Trailer = http.Header{"X-Asked": {"all"}}
		res, err := c.Do(r)
		must(t, err)
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
		must(t, err)
		if res.Trailer.Get("X-Sum") != "of all" || res.Trailer.Get("X-Late") != "yes" {
			t.Errorf("trailers %v", res.Trailer)
		}
	})
}

// TestEventsAreFlushedAtOnce: the service sends the second event only when the
// caller has read the first.
func TestEventsAreFlushedAtOnce(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	next := make(chan string)
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for text := range next {
			fmt.Fprintf(w, "data: %s\n\n", text)
			_ = http.NewResponseController(w).Flush()
			if text == "end" {
				return
			}
		}
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		go func() { next <- "0" }() // the header may come with it
		res, err := c.Get("http://" + socket.Address)
		must(t, err)
		defer res.Body.Close()
		lines := bufio.NewReader(res.Body)
		for i := range 3 {
			line, err := lines.ReadString('\n')
			must(t, err)
			if line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("event %d: %q", i, line)
			}
			_, _ = lines.ReadString('\n')
			if i < 2 {
				next <- fmt.Sprint(i + 1)
			}
		}
		next <- "end"
		_, err = io.ReadAll(lines)
		must(t, err)
	})
}

func TestWebSocketBytesPassBothWays(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(upgraded))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	c, r := upgrade(t, socket.Address)
	for _, text := range []string{"one\n", "two\n"} {
		_, err := io.WriteString(c, text)
		must(t, err)
		if got, err := r.ReadString('\n'); err != nil || got != "echo "+text {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

// upgraded echoes lines on a connection of another protocol.
func upgraded(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "no upgrade", http.StatusBadRequest)
		return
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "websocket")
	w.WriteHeader(http.StatusSwitchingProtocols)
	c, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	for {
		line, err := brw.ReadString('\n')
		if err != nil {
			return
		}
		if _, err := io.WriteString(c, "echo "+line); err != nil {
			return
		}
	}
}

// upgrade opens a connection and upgrades it.
func upgrade(t *testing.T, address string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	must(t, err)
	t.Cleanup(func() { _ = c.Close() })
	_, err = io.WriteString(c, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	must(t, err)
	r := bufio.NewReader(c)
	res, err := http.ReadResponse(r, nil)
	must(t, err)
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("status %s", res.Status)
	}
	return c, r
}

func TestExpectedContinueComesFromTheService(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/no" {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n)
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	for path, want := range map[string]int{"/yes": 200, "/no": 413} {
		c, err := net.Dial("tcp", socket.Address)
		must(t, err)
		defer c.Close()
		fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n", path)
		r := bufio.NewReader(c)
		if want == 200 {
			if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != 100 {
				t.Fatalf("%s: first %v, %v", path, res, err)
			}
			_, _ = io.WriteString(c, "body")
		}
		res, err := http.ReadResponse(r, nil)
		for err == nil && res.StatusCode == 100 { // the service's own, and the one for reading its body: RFC 9110 allows any number
			res, err = http.ReadResponse(r, nil)
		}
		must(t, err)
		if res.StatusCode != want {
			t.Errorf("%s: %s", path, res.Status)
		}
	}
}

func TestBigBodiesAreStreamed(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
		_, _ = io.Copy(w, bytes.NewReader(make([]byte, 8<<20)))
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		data := bytes.Repeat([]byte("stead"), 4<<20/5)
		res, err := c.Post("http://"+socket.Address, "", bytes.NewReader(data))
		must(t, err)
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		must(t, err)
		if want := fmt.Sprintf("%x", sha256.Sum256(data)); n != 8<<20 || res.Header.Get("X-Sum") != want {
			t.Errorf("%d bytes, sum %s, want %s", n, res.Header.Get("X-Sum"), want)
		}
	})
}

// TestAnAnswerMayBeginBeforeTheRequestHasEnded: the rest of the body goes to
// the service, and not to whoever writes the answer's header.
func TestAnAnswerMayBeginBeforeTheRequestHasEnded(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		for lines := bufio.NewReader(r.Body); ; {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		body, in := io.Pipe()
		go func() { _, _ = io.WriteString(in, "0\n") }()
		res, err := c.Post("http://"+socket.Address, "", body)
		must(t, err)
		defer res.Body.Close()
		answers := bufio.NewReader(res.Body)
		for i := range 5 {
			line, err := answers.ReadString('\n')
			if err != nil || line != fmt.Sprintf("%d\n", i) {
				t.Fatalf("line %d: %q, %v", i, line, err)
			}
			_, err = fmt.Fprintf(in, "%d\n", i+1)
			must(t, err)
		}
		must(t, in.Close())
		_, err = io.ReadAll(answers)
		must(t, err)
	})
}

func TestEarlyHintsPass(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</a.css>")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "x")
	}))
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, b.address))
	both(t, func(t *testing.T, c *http.Client) {
		var hints []int
		r, err := http.NewRequest(http.MethodGet, "http://"+socket.Address, nil)
		must(t, err)
		r = r.WithContext(httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error { hints = append(hints, code); return nil },
		}))
		res, err := c.Do(r)
		must(t, err)
		_ = res.Body.Close()
		if fmt.Sprint(hints) != "[103]" {
			t.Errorf("hints %v", hints)
		}
	})
}

func TestReplicasShareAndARefusingOneIsLeftOut(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	a, b, gone := serve(t, says("a")), serve(t, says("b")), serve(t, says("gone"))
	gone.kill()
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, a.address, gone.address, b.address))
	seen := map[string]int{}
	c := caller(t, false)
	for range 40 {
		status, body, _, err := get(c, socket.Address)
		if err != nil || status != 200 {
			t.Fatal(status, body, err)
		}
		seen[body]++
	}
	if seen["a"] < 5 || seen["b"] < 5 {
		t.Errorf("answers %v", seen)
	}
}

func TestConnectIsRefused(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, serve(t, says("x")).address))
	c, err := net.Dial("tcp", socket.Address)
	must(t, err)
	defer c.Close()
	_, _ = io.WriteString(c, "CONNECT 127.0.0.1:1 HTTP/1.1\r\nHost: 127.0.0.1:1\r\n\r\n")
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, err)
	if res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("%s", res.Status)
	}
}
