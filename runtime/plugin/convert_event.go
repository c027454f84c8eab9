package plugin

import (
	"maps"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

func eventToProto(e runtime.Event) *runtimepb.Event {
	p := &runtimepb.Event{
		Sequence: e.Sequence,
		Time:     timeToProto(e.Time),
		Kind:     runtimepb.Event_Kind(e.Kind), // the numbers are the same
		Id:       idToProto(e.ID),
		Instance: instanceToProto(e.Instance),
		Exit:     exitToProto(e.Exit),
		Summary:  int64(e.Summary),
	}
	if g := e.Generation; g != nil {
		p.Generation = &runtimepb.GenerationStatus{
			Phase: runtimepb.GenerationStatus_Phase(g.Phase), Hash: g.Hash, Handle: handleToProto(g.Handle),
			Restarts: int64(g.Restarts), Until: timeToProto(g.Until), Reason: text(g.Reason), Lost: g.Lost,
		}
	}
	if s := e.Started; s != nil {
		p.Started = &runtimepb.Started{Pid: int64(s.PID), Endpoints: maps.Clone(s.Endpoints)}
	}
	if r := e.Ready; r != nil {
		p.Ready = &runtimepb.Readiness{Ready: r.Ready, Detail: text(r.Detail)}
	}
	return p
}

func eventFromProto(p *runtimepb.Event) runtime.Event {
	e := runtime.Event{
		Sequence: p.GetSequence(),
		Time:     timeFromProto(p.GetTime()),
		Kind:     runtime.EventKind(p.GetKind()),
		ID:       idFromProto(p.GetId()),
		Instance: instanceFromProto(p.GetInstance()),
		Exit:     exitFromProto(p.GetExit()),
		Summary:  int(p.GetSummary()),
	}
	if g := p.GetGeneration(); g != nil {
		e.Generation = &runtime.GenerationStatus{
			Phase: runtime.GenerationPhase(g.GetPhase()), Hash: g.GetHash(), Handle: handleFromProto(g.GetHandle()),
			Restarts: int(g.GetRestarts()), Until: timeFromProto(g.GetUntil()), Reason: g.GetReason(), Lost: g.GetLost(),
		}
	}
	if s := p.GetStarted(); s != nil {
		e.Started = &runtime.Started{PID: int(s.GetPid()), Endpoints: s.GetEndpoints()}
	}
	if r := p.GetReady(); r != nil {
		e.Ready = &runtime.Readiness{Ready: r.GetReady(), Detail: r.GetDetail()}
	}
	return e
}

func exitToProto(e *runtime.Exit) *runtimepb.Exit {
	if e == nil {
		return nil
	}
	return &runtimepb.Exit{
		Code: int64(e.Code), Signal: e.Signal, Core: e.Core, Oom: e.OOM, Error: text(e.Error),
		Lost: e.Lost, Leftovers: int64(e.Leftovers), Ready: e.Ready, Expected: e.Expected,
	}
}

func exitFromProto(p *runtimepb.Exit) *runtime.Exit {
	if p == nil {
		return nil
	}
	return &runtime.Exit{
		Code: int(p.GetCode()), Signal: p.GetSignal(), Core: p.GetCore(), OOM: p.GetOom(), Error: p.GetError(),
		Lost: p.GetLost(), Leftovers: int(p.GetLeftovers()), Ready: p.GetReady(), Expected: p.GetExpected(),
	}
}
