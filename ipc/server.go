package ipc

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Server serves the API. It may serve several listeners.
type Server struct {
	backend Backend
	log     *slog.Logger
	http    *http.Server
	streams streams
	active  sync.WaitGroup // requests that are being handled
}

// NewServer returns a server of what b can do.
func NewServer(b Backend, log *slog.Logger) *Server {
	s := &Server{backend: b, log: log}
	rpc := connect.NewServer(s.stampAPI, s.translate, s.endWithServer)
	steadpb.RegisterDaemonHandler(rpc, handlers{s})
	rpc.SetUnknownHandler(unknownRPC)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, rpc, connecthttp.WithReadMaxBytes(maxMessage))
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)            // curl, and whatever is one request at a time
	protocols.SetUnencryptedHTTP2(true) // gRPC, Terminal
	s.http = &http.Server{
		Handler:           s.track(mux),
		Protocols:         protocols,
		ReadHeaderTimeout: 5 * time.Second, // a client that connects and says nothing holds a descriptor
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
	return s
}

// Serve answers on l until Shutdown, which makes it return nil. It closes l.
//
// Connections of users other than this process's and root are closed at once.
// Host and Origin are not checked, unlike on every listener on TCP: a web page
// cannot make a browser connect to a Unix socket, whatever a name is rebound to.
func (s *Server) Serve(l net.Listener) error {
	err := s.http.Serve(newPeerListener(l, s.log))
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown stops accepting, ends every stream with Unavailable, and lets
// other requests finish until ctx ends; what is left then is cut off. It
// returns when no handler runs any more. A reader that has stopped reading
// keeps it until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.streams.end()
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	s.active.Wait() // their connections are idle or cut, so their contexts have ended
	return err
}

// track counts the requests being handled, and gives each the means to stop
// waiting for its client's next message.
func (s *Server) track(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.active.Add(1)
		defer s.active.Done()
		next.ServeHTTP(w, r.WithContext(withReadEnder(r.Context(), w)))
	})
}

// stampAPI tells the client which API this daemon speaks, also with errors.
func (s *Server) stampAPI(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		if info, ok := connect.CallInfoForServerContext(ctx); ok {
			info.ResponseHeader().Set(apiHeader, apiText)
		}
		return next(ctx, spec, stream)
	}
}

// translate makes errors fit to travel, and keeps faults of the daemon in its log.
func (s *Server) translate(next connect.ServerFunc) connect.ServerFunc {
	return func(ctx context.Context, spec connect.Spec, stream connect.ServerStream) error {
		err := toConnect(next(ctx, spec, stream))
		if err != nil && connect.CodeOf(err) == connect.CodeInternal {
			s.log.Error("request ended by a fault", "rpc", spec.Procedure, "err", err)
		}
		return err
	}
}
