package fake

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Listen implements runtime.Runtime: nothing is bound, but the set is kept.
// An address for which Refuse was called does not listen.
func (r *Runtime) Listen(ctx context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Listen", Sockets: slices.Clone(sockets)}); err != nil {
		return nil, err
	}
	for address := range r.bound {
		if !r.uses(address) {
			delete(r.bound, address)
		}
	}
	statuses := make([]runtime.SocketStatus, len(sockets))
	names := map[string]bool{}
	for i, s := range sockets {
		address, err := netip.ParseAddrPort(s.Address)
		refusal, refused := r.refused[s.Address]
		switch statuses[i].Socket = s; {
		case refused:
			statuses[i] = refusal
			statuses[i].Socket = s
		case err != nil || address.Port() == 0:
			statuses[i].Error, statuses[i].Hint = fmt.Sprintf("%q is not an IP address and a port", s.Address), "write 127.0.0.1:9001"
		case s.Reserve:
			continue
		case names[s.Name] || s.Name == "":
			statuses[i].Error = fmt.Sprintf("the name %q is used twice, or empty", s.Name)
		default:
			r.bound[s.Address] = true
		}
		names[s.Name] = true
	}
	return statuses, nil
}

// Refuse makes later calls of Listen answer for address with status.
func (r *Runtime) Refuse(address string, status runtime.SocketStatus) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused[address] = status
}

// uses reports whether a generation that has not ended was given address.
func (r *Runtime) uses(address string) bool {
	for _, g := range r.generations {
		has := func(s runtime.Socket) bool { return s.Address == address }
		if !g.status.Phase.Final() && slices.ContainsFunc(g.spec.Sockets, has) {
			return true
		}
	}
	return false
}

// given refuses a spec with a socket that does not listen.
func (r *Runtime) given(s runtime.Spec) error {
	for _, socket := range s.Sockets {
		if !r.bound[socket.Address] {
			err := fmt.Errorf("nothing listens on %s: %w", socket.Address, runtime.Unavailable)
			return runtime.WithHint(err, "declare it by Listen")
		}
	}
	return nil
}

// Signal implements runtime.Runtime: it is noted, and nothing comes of it.
func (r *Runtime) Signal(ctx context.Context, id runtime.ID, signal string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Signal", ID: id, Signal: signal}); err != nil {
		return err
	}
	known := []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "CONT", "STOP", "WINCH"}
	if !slices.Contains(known, strings.TrimPrefix(strings.ToUpper(signal), "SIG")) {
		return fmt.Errorf("signal %s: unknown signal %q: %w", id.Label(), signal, runtime.Invalid)
	}
	g := r.generations[id]
	switch {
	case g == nil:
		return fmt.Errorf("signal %s: %w", id.Label(), runtime.NotFound)
	case !slices.ContainsFunc(g.replicas, func(rep replica) bool { return rep.live }):
		return fmt.Errorf("signal %s: it does not run: %w", id.Label(), runtime.Unavailable)
	}
	return nil
}

// Inspect implements runtime.Runtime.
func (r *Runtime) Inspect(ctx context.Context, ids []runtime.ID) ([]runtime.Inspection, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.note(ctx, Call{Method: "Inspect", IDs: slices.Clone(ids)}); err != nil {
		return nil, err
	}
	var all []runtime.Inspection
	for _, id := range ids {
		g := r.generations[id]
		if g == nil {
			continue
		}
		for i, rep := range g.replicas {
			if rep.live {
				all = append(all, runtime.Inspection{Instance: g.instance(i), Halted: rep.halted})
			}
		}
	}
	return all, nil
}

// SetHalted makes Inspect say why a live instance stands still; "" ends that.
// Its ReadyTimeout does not wait.
func (r *Runtime) SetHalted(id runtime.InstanceID, why string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	g, i := r.find(id)
	if g == nil {
		return fmt.Errorf("instance %s: %w", id, runtime.NotFound)
	}
	g.replicas[i].halted = why
	return nil
}
