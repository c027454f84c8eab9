package ipc

import (
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// serviceView is what users are shown of a service: a pure function of p.
func serviceView(p *Present, name supervisor.Name) *steadpb.Service {
	s, spec := p.State.Service(name), p.Specs[name]
	out := &steadpb.Service{
		Project:   valid(shownProject(p, name.Project)),
		ProjectId: valid(name.Project),
		Name:      name.Service,
		Want:      want(s.Want),
		Phase:     string(s.Phase()),
		Ready:     s.Ready(),
		OneShot:   s.Plan.OneShot,
		Terminal:  spec.Terminal,
		Keep:      s.Want.Keep,
		Directory: valid(spec.Dir),
	}
	out.Diagnostics, out.DiagnosticsLeftOut = serviceDiagnostics(p, name)
	why := s.Why()
	out.Cause, out.CauseKind = valid(why.Text), string(why.Kind)
	for _, d := range s.Plan.DependsOn {
		out.DependsOn = append(out.DependsOn, d.Service)
	}
	for _, d := range p.State.WaitsFor(name) {
		out.WaitsFor = append(out.WaitsFor, d.Service)
	}
	if next, ok := s.Next(); ok {
		out.NextGeneration = next.Number
		out.Since = timestamp(next.Since)
	}
	if current, ok := s.Current(); ok {
		out.Generation = current.Number
		out.Trigger = valid(current.Trigger)
		out.Restarts = int32(current.Restarts)
		out.Since = timestamp(current.Since)
		out.Until = timestamp(current.Until)
		out.Urls = urls(spec.Ports, current)
	}
	if r, ok := p.Reloads[name]; ok {
		out.Reload = reloadView(r)
	}
	if published, ok := p.URLs[name]; ok {
		out.Urls = nil
		if s.Want.Up || len(out.Instances) > 0 {
			out.Urls = published
		}
	}
	if cause, ok := p.Unreachable[name]; ok && s.Want.Up && (why.Kind == "" || why.Kind == supervisor.CauseAsleep) { // nobody can call it
		if out.Ready {
			out.Ready, out.Phase = false, string(supervisor.PhaseUnready)
		}
		out.Cause, out.CauseKind = valid(cause.Text), string(cause.Kind)
	}
	for _, g := range s.Generations {
		for _, i := range g.Instances {
			out.Instances = append(out.Instances, instanceView(g, i))
		}
	}
	return out
}

func instanceView(g supervisor.Generation, i supervisor.Instance) *steadpb.Instance {
	out := &steadpb.Instance{
		Id:         fmt.Sprintf("%d/%d/%d", g.Number, i.Replica, i.Attempt),
		Phase:      string(instancePhase(g, i)),
		Since:      timestamp(i.Since),
		Endpoints:  maps.Clone(i.Endpoints), // of a shared State: the message may be changed by whoever gets it
		Replica:    int32(i.Replica),
		Attempt:    int32(i.Attempt),
		Generation: g.Number,
		Exit:       valid(i.Exit),
		Detail:     valid(i.Detail),
	}
	if i.Exit == "" {
		out.Pid = int32(i.PID)
	}
	return out
}

// instancePhase says where one instance stands. The state has phases of whole
// generations only, so this is what is known of the instance, in the same words.
func instancePhase(g supervisor.Generation, i supervisor.Instance) supervisor.Phase {
	switch {
	case i.Exit != "" && (g.Phase.Final() || g.Phase == supervisor.PhaseBackoff):
		return g.Phase
	case i.Exit != "":
		return supervisor.PhaseStopped
	case g.Phase == supervisor.PhaseDraining, g.Phase == supervisor.PhaseStopping:
		return g.Phase
	case i.Ready:
		return supervisor.PhaseReady
	case g.WasReady:
		return supervisor.PhaseUnready
	}
	return supervisor.PhaseStarting
}

// urls says where a generation that lives is reached, in the order of its ports.
func urls(ports []runtime.Port, g supervisor.Generation) []string {
	if g.Phase.Final() {
		return nil
	}
	var out []string
	for _, port := range ports {
		if address := address(port, g); address != "" {
			out = append(out, scheme(port)+"://"+address)
		}
	}
	return out
}

// address is the port's own number, or where the first live instance has it.
func address(port runtime.Port, g supervisor.Generation) string {
	if port.Number != 0 {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(port.Number))
	}
	for _, i := range g.Instances {
		if a := i.Endpoints[port.Name]; a != "" && i.Exit == "" {
			return a
		}
	}
	return ""
}

// scheme tells gRPC by the port's name: its protocol is http, too.
func scheme(port runtime.Port) string {
	switch {
	case port.Name == "grpc" || port.Protocol == "grpc":
		return "grpc"
	case port.Protocol == "http":
		return "http"
	}
	return "tcp"
}

func want(w supervisor.Want) string {
	if w.Up {
		return "up"
	}
	return "down"
}

// timestamp is absent for the zero time.
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// valid makes text fit for a protobuf string, which must be UTF-8: one bad
// byte in a path would make a whole Status impossible to send.
func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }
