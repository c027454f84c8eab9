package proof

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// gate stands between a runtime and the API server. Whoever passes it is an
// admin; its rule answers in the server's stead.
type gate struct {
	kubeconfig string // that leads to it
	authority  []byte
	url        string
	proxy      *httputil.ReverseProxy
	losses     atomic.Int32

	mu      sync.Mutex
	rule    rule // nil: all pass
	watches map[*http.Request]context.CancelFunc
}

// rule reports whether it has answered.
type rule func(w http.ResponseWriter, r *http.Request) bool

func newGate(t *testing.T, config *rest.Config) *gate {
	t.Helper()
	way, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	g := &gate{watches: map[*http.Request]context.CancelFunc{}}
	g.proxy = &httputil.ReverseProxy{
		Transport: way, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(server)
			r.Out.Header.Del("Authorization")
		},
	}
	front := httptest.NewUnstartedServer(g)
	front.EnableHTTP2 = true
	front.Config.ErrorLog = log.New(io.Discard, "", 0)
	front.StartTLS()
	t.Cleanup(func() {
		g.cut()
		front.CloseClientConnections()
		front.Close()
	})
	g.url, g.kubeconfig = front.URL, filepath.Join(t.TempDir(), "kubeconfig")
	g.authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: front.Certificate().Raw})
	g.log(t, "first")
	return g
}

// log in: the kubeconfig has another token from now on.
func (g *gate) log(t *testing.T, token string) {
	t.Helper()
	c := clientcmdapi.NewConfig()
	c.Clusters["gate"] = &clientcmdapi.Cluster{Server: g.url, CertificateAuthorityData: g.authority}
	c.AuthInfos["user"] = &clientcmdapi.AuthInfo{Token: token}
	c.Contexts["gate"] = &clientcmdapi.Context{Cluster: "gate", AuthInfo: "user"}
	c.CurrentContext = "gate"
	text, err := clientcmd.Write(*c)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(g.kubeconfig+".new", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(g.kubeconfig+".new", g.kubeconfig); err != nil {
		t.Fatal(err)
	}
}

// obey sets the rule.
func (g *gate) obey(r rule) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rule = r
}

// cut ends all watches in the middle of a line, and returns how many that were.
func (g *gate) cut() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, cancel := range g.watches {
		cancel()
	}
	return len(g.watches)
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	r = r.WithContext(ctx)
	g.mu.Lock()
	rule := g.rule
	g.mu.Unlock()
	if rule != nil && rule(w, r) {
		return
	}
	if isWatch(r) {
		g.mu.Lock()
		g.watches[r] = cancel
		g.mu.Unlock()
		defer func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			delete(g.watches, r)
		}()
	}
	g.proxy.ServeHTTP(w, r)
}

func isWatch(r *http.Request) bool { return r.URL.Query().Get("watch") != "" }

func isWrite(r *http.Request) bool {
	return r.Method != http.MethodGet && r.Method != http.MethodHead && r.URL.Query().Get("dryRun") == ""
}

// answer is an API server's own refusal.
func answer(w http.ResponseWriter, code int, reason, message string) {
	if code == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"`+reason+`","message":"`+message+`","code":`+strconv.Itoa(code)+`}`)
}

// done has the server do it, without anybody being told.
func (g *gate) done(r *http.Request) { g.proxy.ServeHTTP(httptest.NewRecorder(), r) }

// lost is done, with a connection that ends then.
func (g *gate) lost(r *http.Request) {
	g.losses.Add(1)
	g.done(r)
	panic(http.ErrAbortHandler)
}
