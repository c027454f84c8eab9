package process

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// dialLimit is for one endpoint, which is on this machine: only a full queue
// of its listener makes a dial wait.
const dialLimit = 5 * time.Second

// Connect implements runtime.Runtime: it dials the endpoint of a ready
// instance. They take turns, and one that refuses is passed over.
func (r *Runtime) Connect(ctx context.Context, req runtime.ConnectRequest) (runtime.Conn, error) {
	k, err := r.connectable(req)
	if err != nil {
		return nil, fmt.Errorf("connect to %s of %s: %w", req.Port, req.ID.Label(), err)
	}
	endpoints := r.journal.Endpoints(k.spec.ID, req.Port)
	turn := int(r.turns.Add(1))
	why := errors.New("none of its instances is ready")
	for i := range endpoints {
		var conn runtime.Conn
		if conn, why = dial(ctx, endpoints[(turn+i)%len(endpoints)]); why == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return nil, fmt.Errorf("connect to %s of %s: %w: %w", req.Port, k.spec.ID.Label(), why, runtime.Unavailable)
}

// connectable returns the generation that a request means: with Number 0 the
// newest that is ready, or when none is, the newest.
func (r *Runtime) connectable(req runtime.ConnectRequest) (*keeper, error) {
	r.mu.Lock()
	var found []*keeper
	for id, k := range r.keepers {
		if id == req.ID || req.ID.Number == 0 && sameService(id, req.ID) {
			found = append(found, k)
		}
	}
	_, lost := r.lost[req.ID]
	r.mu.Unlock()
	if lost {
		return nil, fmt.Errorf("it does not run any more: %w", runtime.Unavailable)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no such generation: %w", runtime.NotFound)
	}
	best := slices.MaxFunc(found, func(a, b *keeper) int {
		if x, y := r.journal.AnyReady(a.spec.ID), r.journal.AnyReady(b.spec.ID); x != y {
			if x {
				return 1
			}
			return -1
		}
		if a.spec.ID.Number < b.spec.ID.Number {
			return -1
		}
		return 1
	})
	if !slices.ContainsFunc(best.spec.Ports, func(p runtime.Port) bool { return p.Name == req.Port }) {
		return nil, fmt.Errorf("it has no such port: %w", runtime.NotFound)
	}
	return best, nil
}

func sameService(a, b runtime.ID) bool {
	return a.Environment == b.Environment && a.Project == b.Project && a.Service == b.Service
}

// dial tries both loopback addresses: a service may listen on either.
func dial(ctx context.Context, address string) (runtime.Conn, error) {
	dialer := net.Dialer{Timeout: dialLimit}
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if host, port, bad := net.SplitHostPort(address); err != nil && bad == nil && host == "127.0.0.1" {
		if other, second := dialer.DialContext(ctx, "tcp", net.JoinHostPort("::1", port)); second == nil {
			conn, err = other, nil
		}
	}
	if err != nil {
		return nil, err
	}
	tcp := conn.(*net.TCPConn)
	return &dialed{tcp, context.AfterFunc(ctx, func() { tcp.Close() })}, nil
}

// dialed is a connection that ends with its context.
type dialed struct {
	*net.TCPConn
	forget func() bool // the context
}

func (d *dialed) Close() error {
	d.forget()
	if err := d.TCPConn.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// CloseWrite implements runtime.Conn. That the other end has gone already is
// what Read will say.
func (d *dialed) CloseWrite() error {
	if err := d.TCPConn.CloseWrite(); !errors.Is(err, syscall.ENOTCONN) {
		return err
	}
	return nil
}
