// Package ipctest has a Backend by hand, for tests of what talks to a daemon.
//
// A Backend may be used concurrently; its function fields must be set before
// it is served.
package ipctest

import (
	"context"
	"fmt"
	"sync"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Backend answers with what its fields say. A nil function answers with zero
// values; Terminal and Command without one are Unsupported.
type Backend struct {
	OnDescribe func() ipc.Description
	OnUp       func(ipc.UpRequest) (ipc.UpResult, error)
	OnCheck    func(ipc.UpRequest) (ipc.CheckResult, error)
	OnEnv      func(supervisor.Name, ipc.EnvRequest) (ipc.EnvResult, error)
	OnWant     func(names []supervisor.Name, up bool) error
	OnRestart  func(names []supervisor.Name) error
	OnTerminal func(context.Context, runtime.TerminalRequest) (runtime.Session, error)
	OnCommand  func(supervisor.Name, ipc.CommandRequest) (runtime.Spec, error)
	OnStop     func(ctx context.Context, services bool) (int, error)

	mu      sync.Mutex
	present *ipc.Present
	newer   chan struct{} // closed when present is replaced
	events  []ipc.Event
	logs    map[supervisor.Name][]runtime.LogBlock
	written chan struct{} // closed when events or logs grow
}

var _ ipc.Backend = (*Backend)(nil)

// New returns a Backend that shows p.
func New(p *ipc.Present) *Backend {
	return &Backend{
		present: p,
		newer:   make(chan struct{}),
		logs:    map[supervisor.Name][]runtime.LogBlock{},
		written: make(chan struct{}),
	}
}

// Show replaces what Present returns.
func (b *Backend) Show(p *ipc.Present) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.present = p
	close(b.newer)
	b.newer = make(chan struct{})
}

// Happen adds events.
func (b *Backend) Happen(events ...ipc.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, events...)
	b.grown()
}

// Write adds blocks to a service's log and gives them their offsets.
func (b *Backend) Write(n supervisor.Name, blocks ...runtime.LogBlock) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, block := range blocks {
		block.Service = n.Service
		block.Offset = end(b.logs[n])
		b.logs[n] = append(b.logs[n], block)
	}
	b.grown()
}

// grown wakes who follows; b.mu is held.
func (b *Backend) grown() {
	close(b.written)
	b.written = make(chan struct{})
}

func end(blocks []runtime.LogBlock) int64 {
	if len(blocks) == 0 {
		return 0
	}
	last := blocks[len(blocks)-1]
	return last.Offset + int64(len(last.Data))
}

// Describe implements ipc.Backend.
func (b *Backend) Describe(context.Context) ipc.Description {
	if b.OnDescribe == nil {
		return ipc.Description{Version: "test"}
	}
	return b.OnDescribe()
}

// Up implements ipc.Backend.
func (b *Backend) Up(_ context.Context, req ipc.UpRequest) (ipc.UpResult, error) {
	if b.OnUp == nil {
		return ipc.UpResult{}, nil
	}
	return b.OnUp(req)
}

// Check implements ipc.Backend.
func (b *Backend) Check(_ context.Context, req ipc.UpRequest) (ipc.CheckResult, error) {
	if b.OnCheck == nil {
		return ipc.CheckResult{}, nil
	}
	return b.OnCheck(req)
}

// Schema implements ipc.Backend.
func (b *Backend) Schema() string { return "{}" }

// Env implements ipc.Backend.
func (b *Backend) Env(_ context.Context, n supervisor.Name, req ipc.EnvRequest) (ipc.EnvResult, error) {
	if b.OnEnv == nil {
		return ipc.EnvResult{}, nil
	}
	return b.OnEnv(n, req)
}

// Want implements ipc.Backend.
func (b *Backend) Want(_ context.Context, names []supervisor.Name, up bool) error {
	if b.OnWant == nil {
		return nil
	}
	return b.OnWant(names, up)
}

// Restart implements ipc.Backend.
func (b *Backend) Restart(_ context.Context, names []supervisor.Name) error {
	if b.OnRestart == nil {
		return nil
	}
	return b.OnRestart(names)
}

// Present implements ipc.Backend.
func (b *Backend) Present() *ipc.Present {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.present
}

// Changed implements ipc.Backend.
func (b *Backend) Changed(p *ipc.Present) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if p != b.present {
		now := make(chan struct{})
		close(now)
		return now
	}
	return b.newer
}

// Events implements ipc.Backend.
func (b *Backend) Events(ctx context.Context, after uint64, follow bool, fn func([]ipc.Event) error) error {
	for {
		b.mu.Lock()
		var out []ipc.Event
		for _, e := range b.events {
			if e.Sequence > after {
				out = append(out, e)
			}
		}
		more := b.written
		b.mu.Unlock()
		if len(out) > 0 {
			after = out[len(out)-1].Sequence
			if err := fn(out); err != nil {
				return err
			}
		}
		if !follow {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Logs implements ipc.Backend. Of the query it honours the name, Offset, Last
// (as blocks) and Follow. The data handed to fn is overwritten afterwards, so
// that who keeps it is found out.
func (b *Backend) Logs(ctx context.Context, q runtime.LogQuery, fn func(runtime.LogBlock) error) error {
	n := supervisor.Name{Environment: q.Environment, Project: q.Project, Service: q.Service}
	for from := q.Offset; ; {
		b.mu.Lock()
		all, known := b.logs[n]
		more := b.written
		b.mu.Unlock()
		if !known {
			return fmt.Errorf("log of %s: %w", n.Service, runtime.NotFound)
		}
		if q.Last > 0 && len(all) > q.Last {
			all = all[len(all)-q.Last:]
		}
		for _, block := range all {
			if block.Offset < from {
				continue
			}
			from = block.Offset + int64(len(block.Data))
			lent := append([]byte(nil), block.Data...)
			block.Data = lent
			err := fn(block)
			for i := range lent {
				lent[i] = '#'
			}
			if err != nil {
				return err
			}
		}
		if !q.Follow {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Terminal implements ipc.Backend.
func (b *Backend) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	if b.OnTerminal == nil {
		return nil, fmt.Errorf("open a terminal: %w", runtime.Unsupported)
	}
	return b.OnTerminal(ctx, req)
}

// Command implements ipc.Backend.
func (b *Backend) Command(_ context.Context, n supervisor.Name, req ipc.CommandRequest) (runtime.Spec, error) {
	if b.OnCommand == nil {
		return runtime.Spec{}, fmt.Errorf("run a command: %w", runtime.Unsupported)
	}
	return b.OnCommand(n, req)
}

// Stop implements ipc.Backend.
func (b *Backend) Stop(ctx context.Context, services bool) (int, error) {
	if b.OnStop == nil {
		return 0, nil
	}
	return b.OnStop(ctx, services)
}
