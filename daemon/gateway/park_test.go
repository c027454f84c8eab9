package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

func TestACallerWaitsUntilSomethingServes(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	both(t, func(t *testing.T, c *http.Client) {
		g.route(t, held(socket, gateway.HTTP))
		got := make(chan string, 1)
		go func() {
			res, err := c.Post("http://"+socket.Address, "", strings.NewReader("kept"))
			if err != nil {
				got <- err.Error()
				return
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			got <- string(body)
		}()
		g.heard.waiting(t, "shop/web")
		select {
		case text := <-got:
			t.Fatalf("answered while held: %s", text)
		default:
		}
		g.route(t, entry(socket, gateway.HTTP, 1, b.address))
		if text := <-got; text != "kept" {
			t.Errorf("got %q", text)
		}
	})
	g.heard.await(t, "nobody waits", func(r gateway.Report) bool { return r.Kind == gateway.Waiting && r.Over })
}

// TestAProcessThatIsGoneIsNoError: nobody listens, the table says it serves.
func TestAProcessThatIsGoneIsNoError(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	gone := serve(t, says("gone"))
	gone.kill()
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, entry(socket, gateway.HTTP, 1, gone.address))
	got := make(chan string, 2)
	ask := func(c *http.Client) {
		res, err := c.Post("http://"+socket.Address, "", strings.NewReader("kept"))
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		got <- string(body)
	}
	go ask(caller(t, false))
	go ask(caller(t, true))
	g.heard.waiting(t, "shop/web")
	b := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	g.route(t, entry(socket, gateway.HTTP, 2, b.address))
	for range 2 {
		if text := <-got; text != "kept" {
			t.Errorf("got %q", text)
		}
	}
}

// TestAProcessThatComesBackAtItsAddressIsNoticed without a new route.
func TestAProcessThatComesBackAtItsAddressIsNoticed(t *testing.T) {
	for _, p := range []gateway.Protocol{gateway.HTTP, gateway.TCP} {
		t.Run(string(p), func(t *testing.T) {
			var sp spine
			socket := sp.bind(t, "shop/web/http")
			first := serve(t, says("first"))
			first.kill()
			g := open(t, gateway.Options{Sockets: &sp})
			g.route(t, entry(socket, p, 1, first.address))
			got := make(chan string, 1)
			go func() {
				_, body, _, err := get(caller(t, false), socket.Address)
				got <- fmt.Sprint(body, err)
			}()
			g.heard.waiting(t, "shop/web")
			l, err := net.Listen("tcp", first.address)
			must(t, err)
			serveOn(t, l, says("second"))
			if text := <-got; text != "second<nil>" {
				t.Errorf("got %s", text)
			}
		})
	}
}

func TestRefusalsSayWhyInTheCallersForm(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	down := held(socket, gateway.HTTP)
	down.State, down.Reason = gateway.Down, "main.go:3: undefined: <b>x</b>\nsecond line 100 %"
	g.route(t, down)
	both(t, func(t *testing.T, c *http.Client) {
		for accept, want := range map[string][2]string{
			"":                      {"text/plain", down.Reason},
			"*/*":                   {"text/plain", down.Reason},
			"application/json, */*": {"application/json", ""},
			"text/html,application/xhtml+xml,*/*;q=0.8": {"text/html", "main.go:3: undefined: &lt;b&gt;x&lt;/b&gt;\nsecond line"},
		} {
			status, body, res, err := get(c, socket.Address, "Accept", accept)
			must(t, err)
			if status != 503 || res.Header.Get("Retry-After") == "" || !strings.HasPrefix(res.Header.Get("Content-Type"), want[0]) || !strings.Contains(body, want[1]) {
				t.Errorf("%q: %d %v\n%s", accept, status, res.Header, body)
			}
			if want[0] == "application/json" {
				var said struct{ Error string }
				if err := json.Unmarshal([]byte(body), &said); err != nil || said.Error != down.Reason {
					t.Errorf("%s: %v", body, err)
				}
			}
		}
	})
}

func TestParkingIsBoundedInNumberAndTime(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp, Limits: gateway.Limits{Parked: 5}})
	s := held(socket, gateway.HTTP)
	s.Park, s.Reason = 20*time.Millisecond, "it is being built"
	g.route(t, s)
	status, body, _, err := get(caller(t, false), socket.Address)
	if err != nil || status != 503 || body != "it is being built\n" {
		t.Errorf("in time: %d %q %v", status, body, err)
	}
	s.Park = time.Hour
	g.route(t, s)
	answers := make(chan int, 12)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 12 {
		go func() {
			r, _ := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+socket.Address, nil)
			res, err := caller(t, false).Do(r)
			if err != nil {
				answers <- 0
				return
			}
			_ = res.Body.Close()
			answers <- res.StatusCode
		}()
	}
	for range 7 {
		if got := <-answers; got != 503 {
			t.Errorf("beyond the bound: %d", got)
		}
	}
	cancel()
	for range 5 {
		if got := <-answers; got != 0 {
			t.Errorf("parked: %d", got)
		}
	}
}

// TestACallerWhoHasGoneFreesItsPlace also where a body nobody reads stands
// between the gateway and the end of the connection.
func TestACallerWhoHasGoneFreesItsPlace(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	for name, text := range map[string]string{
		"without a body": "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"with a body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nsome of it",
	} {
		t.Run(name, func(t *testing.T) {
			g := open(t, gateway.Options{Sockets: &sp})
			s := held(socket, gateway.HTTP)
			s.Park = time.Hour
			g.route(t, s)
			c, err := net.Dial("tcp", socket.Address)
			must(t, err)
			_, err = io.WriteString(c, text)
			must(t, err)
			g.heard.waiting(t, "shop/web")
			must(t, c.Close())
			if !canSeeHangups && name == "with a body" {
				t.Skip("needs: Linux, to see the end of a connection behind unread bytes")
			}
			g.heard.await(t, "nobody waits", func(r gateway.Report) bool { return r.Kind == gateway.Waiting && r.Over })
			g.close()
		})
	}
}

func TestDownAnswersThoseWhoWait(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp})
	g.route(t, held(socket, gateway.HTTP))
	got := make(chan string, 1)
	go func() {
		_, body, _, err := get(caller(t, false), socket.Address)
		got <- fmt.Sprint(body, err)
	}()
	g.heard.waiting(t, "shop/web")
	down := held(socket, gateway.HTTP)
	down.State, down.Reason = gateway.Down, "the build failed"
	g.route(t, down)
	if text := <-got; text != "the build failed\n<nil>" {
		t.Errorf("got %s", text)
	}
}
