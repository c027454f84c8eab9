package fake

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// Connect implements runtime.Runtime: the other end is Act.Serve. Instances
// that are ready take turns. With CapabilityRoute, Number 0 means the one that
// was routed.
func (r *Runtime) Connect(ctx context.Context, req runtime.ConnectRequest) (runtime.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Connect", ID: req.ID, Port: req.Port}); err != nil {
		return nil, err
	}
	act, err := r.reach(req)
	if err != nil {
		return nil, fmt.Errorf("connect to %s of %s: %w", req.Port, req.ID.Label(), err)
	}
	ours, theirs := connPair()
	serve := act.Serve
	if serve == nil {
		serve = func(_ string, c runtime.Conn) { _, _ = io.Copy(c, c) }
	}
	stop := context.AfterFunc(ctx, func() { ours.Close() })
	go func() { // ends when serve does, at the latest by the end of either conn
		defer stop()
		defer theirs.Close()
		serve(req.Port, theirs)
	}()
	return ours, nil
}

func serviceOf(id runtime.ID) runtime.ID {
	id.Number = 0
	return id
}

// reach is called with mu held.
func (r *Runtime) reach(req runtime.ConnectRequest) (Act, error) {
	g, err := r.connectable(req.ID)
	if err != nil {
		return Act{}, err
	}
	if !slices.ContainsFunc(g.spec.Ports, func(p runtime.Port) bool { return p.Name == req.Port }) {
		return Act{}, fmt.Errorf("no such port: %w", runtime.NotFound)
	}
	r.connections++
	for i := range g.replicas {
		rep := &g.replicas[(r.connections+i)%len(g.replicas)]
		if rep.live && rep.ready != nil {
			return rep.act, nil
		}
	}
	return Act{}, fmt.Errorf("nothing of it is ready: %w", runtime.Unavailable)
}

func (r *Runtime) connectable(id runtime.ID) (*generation, error) {
	if id.Number == 0 && slices.Contains(r.options.Capabilities, runtime.CapabilityRoute) {
		id.Number = r.routed[id]
	}
	if g := r.generations[id]; g != nil {
		return g, nil
	}
	var newest *generation // that is ready, or else of all
	for _, g := range r.generations {
		if id.Number != 0 || serviceOf(g.spec.ID) != id {
			continue
		}
		if newest == nil || g.reachable() && !newest.reachable() ||
			g.reachable() == newest.reachable() && g.spec.ID.Number > newest.spec.ID.Number {
			newest = g
		}
	}
	if newest == nil {
		return nil, runtime.NotFound
	}
	return newest, nil
}

func (g *generation) reachable() bool {
	return slices.ContainsFunc(g.replicas, func(rep replica) bool { return rep.live && rep.ready != nil })
}

// connPair returns both ends of a connection in memory.
func connPair() (a, b runtime.Conn) {
	ar, bw := io.Pipe()
	br, aw := io.Pipe()
	return &pipeConn{PipeReader: ar, out: aw}, &pipeConn{PipeReader: br, out: bw}
}

type pipeConn struct {
	*io.PipeReader
	out  *io.PipeWriter
	once sync.Once
}

func (c *pipeConn) Write(p []byte) (int, error) { return c.out.Write(p) }
func (c *pipeConn) CloseWrite() error           { return c.out.Close() }

func (c *pipeConn) Close() error {
	c.once.Do(func() {
		c.PipeReader.Close() // first: what the other end says to our end is not read
		c.out.Close()
	})
	return nil
}
