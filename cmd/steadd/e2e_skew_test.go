package main_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// call sends JSON to a daemon as another version of the client would.
func (h *homestead) call(rpc, api, body string) (int, string) {
	h.Helper()
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", filepath.Join(h.home, "run", "stead.sock"))
		},
	}}
	req, err := http.NewRequestWithContext(h.Context(), http.MethodPost, "http://stead/stead.v1.Daemon/"+rpc, strings.NewReader(body))
	if err != nil {
		h.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Stead-Api", api)
	res, err := client.Do(req)
	if err != nil {
		h.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		h.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// TestNewerClient: what this daemon does not know is refused by name, or left
// out of account; what it does know still works.
func TestNewerClient(t *testing.T) {
	h := newHomestead(t, "services: {a: {command: service}}\n")
	h.ok("up", "-d")
	a := h.pid("a")
	code, text := h.call("Teleport", "99", "{}")
	if code != http.StatusNotImplemented || !strings.Contains(text, `the daemon does not know the call \"Teleport\"`) {
		t.Errorf("an unknown call: %d %s", code, text)
	}
	code, text = h.call("Status", "99", `{"notInventedYet": {"deep": [1, 2]}}`)
	if code != http.StatusOK || !strings.Contains(text, `"name":"a"`) {
		t.Errorf("an unknown field: %d %s", code, text)
	}
	code, text = h.call("Status", "0", `{}`)
	if code != http.StatusOK || !strings.Contains(text, `"name":"a"`) {
		t.Errorf("an older client: %d %s", code, text)
	}
	if h.pid("a") != a {
		t.Error("a service was touched")
	}
}

// TestOtherDaemons has this client talk to a daemon that lacks everything, to
// one that says more than it knows, and to what is none.
func TestOtherDaemons(t *testing.T) {
	for _, c := range []struct {
		name, api, hint string
		code            int
		answer          http.HandlerFunc
	}{
		{"older", "0", "the daemon may be older than this client", 1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = io.WriteString(w, `{"code":"unimplemented","message":"no"}`)
		}},
		{"newer", "99", "this client is older than the daemon", 1, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotImplemented)
			_, _ = io.WriteString(w, `{"code":"unimplemented","message":"dropped"}`)
		}},
		{"stranger", "", "is not a stead daemon", 1, http.NotFound},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHomestead(t, "services: {a: {command: service}}\n")
			h.pretend(func(w http.ResponseWriter, r *http.Request) {
				if c.api != "" {
					w.Header().Set("Stead-Api", c.api)
				}
				c.answer(w, r)
			})
			out, code := h.stead("status")
			if code != c.code || !strings.Contains(out, c.hint) {
				t.Errorf("ended with %d: %s", code, out)
			}
			if out, code := h.stead("daemon", "status"); code == 0 || !strings.Contains(out, "stead: error:") {
				t.Errorf("daemon status ended with %d: %s", code, out)
			}
		})
	}
}

// pretend answers on the socket of a home, until the test ends.
func (h *homestead) pretend(answer http.HandlerFunc) {
	h.Helper()
	run := filepath.Join(h.home, "run")
	if err := os.MkdirAll(run, 0o700); err != nil {
		h.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(run, "stead.sock"))
	if err != nil {
		h.Fatal(err)
	}
	server := &http.Server{Handler: answer}
	ended := make(chan struct{})
	go func() { // ends with Close
		defer close(ended)
		_ = server.Serve(l)
	}()
	h.Cleanup(func() {
		_ = server.Close()
		<-ended
	})
}
