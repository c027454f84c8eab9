package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// The control API is HTTP over a Unix socket:
//
//	POST /v1/session   HTTP/2. The request's body is a stream of pushes, the
//	                   response's one of frames, JSON each. The first push is
//	                   the full table. The newest session alone changes routes.
//	GET  /v1/table     the table, for people with curl

// push is what the daemon sends: everything that has changed since the last
// one was applied.
type push struct {
	Version uint64 `json:"version"` // comes back when it is in effect
	Full    bool   `json:"full,omitempty"`
	Change
}

// frame is what the gateway sends: one of its fields.
type frame struct {
	Applied uint64  `json:"applied,omitempty"`
	Report  *Report `json:"report,omitempty"`
	Error   string  `json:"error,omitempty"` // and the session ends
}

// ControlPath is where a generation of the gateway has its control socket: two
// live while one replaces the other.
func ControlPath(dir string, generation uint64) string {
	return filepath.Join(dir, "gateway-"+strconv.FormatUint(generation, 10)+".sock")
}

// ListenControl listens on the Unix socket path, for this user alone. What a
// gateway that was killed has left there is removed; a socket that somebody
// answers on is Conflict.
func ListenControl(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		_ = c.Close()
		return nil, fmt.Errorf("listen on %s: a gateway is running there already: %w", path, runtime.Conflict)
	} else if errors.Is(err, syscall.ECONNREFUSED) {
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen on %s: %w", path, err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil { // until here its directory keeps others out
		return nil, errors.Join(fmt.Errorf("listen on %s: %w", path, err), l.Close())
	}
	return &ownPeers{Listener: l, uid: uint32(os.Geteuid())}, nil
}

// ownPeers lets in this process's user, and root.
type ownPeers struct {
	net.Listener
	uid uint32
}

// Accept returns the next connection of somebody who is let in.
func (l *ownPeers) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(c); err == nil && (uid == l.uid || uid == 0) {
			return c, nil
		}
		_ = c.Close()
	}
}

// ServeControl answers the control API until the server is closed or l is;
// then it closes l, and every session.
func (s *Server) ServeControl(l net.Listener) error {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	mux := http.NewServeMux()
	web := &http.Server{Handler: mux, Protocols: &p, ReadHeaderTimeout: 10 * time.Second, ErrorLog: s.quiet()}
	ctx, cancel := context.WithCancel(context.Background())
	web.BaseContext = func(net.Listener) context.Context { return ctx }
	mux.HandleFunc("POST /v1/session", s.serveSession)
	mux.HandleFunc("GET /v1/table", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.Table())
	})
	var stop sync.WaitGroup
	stop.Go(func() { // until the server ends, or Serve has
		select {
		case <-s.ending:
		case <-ctx.Done():
		}
		_ = web.Close()
	})
	err := web.Serve(l)
	cancel()
	stop.Wait()
	if errors.Is(err, http.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// serveSession is one connection of a daemon.
func (s *Server) serveSession(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		http.Error(w, "a session is HTTP/2", http.StatusHTTPVersionNotSupported)
		return
	}
	me := s.meet()
	defer s.part()
	w.WriteHeader(http.StatusOK)
	out := &frames{to: json.NewEncoder(w), flush: http.NewResponseController(w)}
	ctx, cancel := context.WithCancel(r.Context())
	var teller sync.WaitGroup
	defer teller.Wait()
	defer cancel()
	for in := json.NewDecoder(r.Body); ; {
		var p push
		if err := in.Decode(&p); err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				_ = out.send(frame{Error: err.Error()})
			}
			return
		}
		if err := s.apply(p.Change, p.Full, me); err != nil {
			_ = out.send(frame{Error: err.Error()})
			return
		}
		if p.Full {
			s.log.Info("routes taken over", "services", len(p.Set))
			teller.Go(func() { s.tell(ctx, out) }) // until ctx ends, or nobody reads
		}
		if out.send(frame{Applied: p.Version}) != nil {
			return
		}
	}
}

// tell sends reports: first all that holds, then what changes.
func (s *Server) tell(ctx context.Context, out *frames) {
	s.mu.Lock()
	all := make([]*service, 0, len(s.services))
	for _, svc := range s.services {
		all = append(all, svc)
	}
	r := s.reports.join(all)
	s.mu.Unlock()
	defer s.reports.part(r)
	reports := append([]Report{{Kind: Begin}}, r.next()...)
	reports = append(reports, Report{Kind: Synced})
	for {
		if out.report(reports) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.ending:
			return
		case <-r.wake:
			reports = r.next()
		}
	}
}

// frames is the way back, for two who write.
type frames struct {
	flush *http.ResponseController

	mu sync.Mutex // guards what follows, and the stream
	to *json.Encoder
}

func (f *frames) send(one frame) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.to.Encode(one); err != nil {
		return err
	}
	return f.flush.Flush()
}

func (f *frames) report(all []Report) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range all {
		if err := f.to.Encode(frame{Report: &all[i]}); err != nil {
			return err
		}
	}
	return f.flush.Flush()
}
