package gateway

import (
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"sync"
	"time"
)

// flushEvery bounds how long bytes of a response of known length are held
// back. Server-sent events, and all whose length is not known, are not.
const flushEvery = 20 * time.Millisecond

// newWeb returns the one server of all HTTP listeners.
func (s *Server) newWeb() *http.Server {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:                      &web{server: s, calls: sync.Pool{New: func() any { return newCall(s) }}},
		Protocols:                    &p,
		ReadHeaderTimeout:            s.limits.HeaderTime,
		IdleTimeout:                  s.limits.IdleTime,
		MaxHeaderBytes:               s.limits.HeaderBytes,
		DisableGeneralOptionsHandler: true, // OPTIONS * is the service's to answer
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, c)
		},
		ErrorLog: s.quiet(),
	}
}

type connKey struct{}

// web handles requests.
type web struct {
	server *Server
	calls  sync.Pool
}

func (h *web) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _ := r.Context().Value(connKey{}).(*conn)
	var to *target
	if c != nil {
		to = c.door.target.Load()
	}
	switch {
	case to == nil:
		w.Header().Set("Connection", "close")
		answer(w, r, http.StatusServiceUnavailable, "this port is not published any more", 0)
		return
	case r.Method == http.MethodConnect: // would make it a forward proxy, to anywhere
		answer(w, r, http.StatusMethodNotAllowed, "CONNECT is not for gateways", 0)
		return
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// Else net/http reads, or closes, what is left of the body when the
		// answer begins: bytes that the service has not had yet.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	to.service.use()
	call := h.calls.Get().(*call)
	call.conn, call.target, call.in = c, to, r
	defer func() { // on http.ErrAbortHandler too: an answer that broke in the middle
		call.end()
		h.calls.Put(call)
		to.service.use()
	}()
	call.proxy.ServeHTTP(w, r)
}

// call is one request on its way. It is the proxy's transport, since which
// endpoint gets a request, and when, is decided there.
type call struct {
	server *Server
	proxy  httputil.ReverseProxy // its functions are bound once per call that is pooled

	conn   *conn
	target *target
	in     *http.Request
	held   *generation // where it is in flight
	at     *endpoint
}

func newCall(s *Server) *call {
	c := &call{server: s}
	c.proxy = httputil.ReverseProxy{
		Rewrite:        rewrite,
		Transport:      c,
		ModifyResponse: c.modify,
		ErrorHandler:   c.fail,
		FlushInterval:  flushEvery,
		BufferPool:     buffers,
		ErrorLog:       s.quiet(),
	}
	return c
}

// quiet is where net/http complains: what strangers send is no news.
func (s *Server) quiet() *log.Logger { return slog.NewLogLogger(s.log.Handler(), slog.LevelDebug) }

func (c *call) end() {
	c.leave()
	c.conn, c.target, c.in = nil, nil, nil
}

func (c *call) leave() {
	if c.at != nil {
		c.at.release()
		c.at = nil
	}
	if c.held != nil {
		c.held.leave()
		c.held = nil
	}
}

// rewrite keeps what the caller has sent, byte by byte where that can be: the
// query is for the service to judge.
func rewrite(p *httputil.ProxyRequest) {
	p.Out.URL.Scheme, p.Out.URL.Host = "http", "" // send says which
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.SetXForwarded()
}

// modify asks the caller to leave when the gateway does. Not on an upgraded
// connection: its header says what it is upgraded to.
func (c *call) modify(r *http.Response) error {
	c.proxy.FlushInterval = flushEvery
	if b, ok := r.Body.(*wireBody); ok && b.all {
		c.proxy.FlushInterval = 0 // which costs a timer
	}
	if c.server.leaving.Load() && r.StatusCode != http.StatusSwitchingProtocols {
		r.Header.Set("Connection", "close") // HTTP/2 makes it a GOAWAY
	}
	return nil
}

// RoundTrip sends the request to an endpoint of what is routed. It waits
// while there is none, and tries again when nothing of the request can have
// been heeded.
func (c *call) RoundTrip(r *http.Request) (*http.Response, error) {
	svc, port := c.target.service, c.target.port
	wait := patience{server: c.server, service: svc}
	if r.Body != nil && r.ProtoMajor == 1 {
		wait.away = c.conn.away
	}
	defer wait.stop()
	replayable, again, body := replayable(r), false, io.Reader(r.Body)
	for {
		rt, ok := svc.enter()
		if !ok {
			if err := wait.wait(r.Context(), rt, nil); err != nil {
				return nil, err
			}
			continue
		}
		c.held = rt.generation
		c.at = rt.ports[port].pick()
		if c.at == nil {
			c.leave()
			if rt.ports[port] == nil {
				return nil, &refusal{reason: svc.id + " has no port " + port}
			}
			if err := wait.wait(r.Context(), rt, rt.ports[port].await(svc, rt)); err != nil {
				return nil, err
			}
			continue
		}
		res, err := c.send(r, body, replayable)
		if err == nil {
			return res, nil
		}
		at := c.at
		c.leave()
		var dial *dialError
		switch {
		case errors.As(err, &dial) && dial.gone():
			at.refuse() // the next round takes another one, or waits
		case errors.As(err, &dial), !replayable, again, r.Context().Err() != nil:
			return nil, err
		default:
			again = true
		}
	}
}

// send is one try. Only the first one has the request itself: the transport
// may still look at that when the next begins.
func (c *call) send(r *http.Request, body io.Reader, replayable bool) (*http.Response, error) {
	if r.URL.Host != "" {
		again, to := *r, *r.URL
		r, r.URL = &again, &to
	}
	r.URL.Host = c.at.address
	if r.Body != nil {
		// A transport closes the body also when it could not connect, and that
		// would be the end of it.
		r.Body = &tryBody{body, c.in, r}
	}
	return c.held.send(r, replayable)
}

// tryBody is a request's body, for one try: it stays open when that fails. At its end
// it hands on the trailers, which the proxy has not seen yet when it copies
// the request.
type tryBody struct {
	io.Reader
	in, out *http.Request
}

func (b *tryBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF {
		for key := range b.out.Trailer {
			b.out.Trailer[key] = b.in.Trailer[key]
		}
	}
	return n, err
}

func (*tryBody) Close() error { return nil }

// replayable says that a request may be sent a second time when its
// connection dies before the first byte of an answer (RFC 9110, 9.2.2).
func replayable(r *http.Request) bool {
	if r.Body != nil && r.Body != http.NoBody || r.Header.Get("Upgrade") != "" {
		return false
	}
	switch r.Method {
	case "", "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// fail answers a request that was not served.
func (c *call) fail(w http.ResponseWriter, _ *http.Request, err error) {
	if c.server.leaving.Load() {
		w.Header().Set("Connection", "close")
	}
	var no *refusal
	switch {
	case errors.As(err, &no):
		answer(w, c.in, http.StatusServiceUnavailable, no.reason, no.after)
	case c.in.Context().Err() != nil || errors.Is(err, errAway):
		panic(http.ErrAbortHandler) // of main only by its name: net/http's way to close a connection. It cannot happen that anybody reads an answer
	default:
		c.server.log.Info("a request failed", "service", c.target.service.id, "err", err)
		answer(w, c.in, http.StatusBadGateway, c.target.service.id+" did not answer as it should: "+err.Error(), 0)
	}
}

// buffers are for copying responses, 32 KiB as io.Copy takes.
var buffers = &pool{}

type pool struct{ free sync.Pool }

func (p *pool) Get() []byte {
	if b, ok := p.free.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 32<<10)
}

func (p *pool) Put(b []byte) { p.free.Put(&b) }
