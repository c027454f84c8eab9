package gateway

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
)

// serveTCP carries one connection to an endpoint, bytes as they come: both
// ends are *net.TCPConn, so that io.Copy is splice(2) on Linux.
func (s *Server) serveTCP(c *conn, to *target) {
	to.service.use()
	defer to.service.use()
	defer c.Close()
	up, g, at, err := s.connect(c, to)
	if err != nil {
		var no *refusal
		if errors.As(err, &no) {
			s.log.Info("a connection was not served", "service", to.service.id, "err", err)
		}
		_ = c.SetLinger(0) // a reset says that something is wrong, an end would not
		return
	}
	defer g.leave()
	defer at.release()
	defer g.forget(up)
	defer up.Close()
	splice(c.TCPConn, up)
}

// connect finds an endpoint and dials it, and waits while nothing can serve.
// With no error the caller leaves the generation and releases the endpoint.
func (s *Server) connect(c *conn, to *target) (*net.TCPConn, *generation, *endpoint, error) {
	svc, port := to.service, to.port
	ctx := context.Background() // a dial is short, and cut and the limits end all else
	wait := patience{server: s, service: svc, away: c.reset}
	defer wait.stop()
	for {
		rt, ok := svc.enter()
		if !ok {
			if err := wait.wait(ctx, rt, nil); err != nil {
				return nil, nil, nil, err
			}
			continue
		}
		g, at := rt.generation, rt.ports[port].pick()
		if at == nil {
			g.leave()
			if rt.ports[port] == nil {
				return nil, nil, nil, &refusal{reason: svc.id + " has no port " + port}
			}
			if err := wait.wait(ctx, rt, rt.ports[port].await(svc, rt)); err != nil {
				return nil, nil, nil, err
			}
			continue
		}
		up, err := g.dial(ctx, at.address)
		if err == nil {
			return up, g, at, nil
		}
		at.release()
		g.leave()
		var dial *dialError
		if !errors.As(err, &dial) || !dial.gone() {
			return nil, nil, nil, &refusal{reason: err.Error()}
		}
		at.refuse()
	}
}

// splice copies both ways until both have ended. The end of one way is passed
// on, and the other one goes on; an error ends both.
func splice(a, b *net.TCPConn) {
	var ways sync.WaitGroup
	copy := func(to, from *net.TCPConn) {
		if _, err := io.Copy(to, from); err != nil {
			_ = a.Close()
			_ = b.Close()
			return
		}
		_ = to.CloseWrite()
	}
	ways.Go(func() { copy(a, b) }) // until b ends, or either is closed
	copy(b, a)
	ways.Wait()
}
