package plugin

import (
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

func specToProto(s runtime.Spec) *runtimepb.Spec {
	p := &runtimepb.Spec{
		Id:           idToProto(s.ID),
		Log:          s.Log,
		Command:      bytesToProto(s.Command),
		Dir:          []byte(s.Dir),
		Inherited:    bytesToProto(s.Inherited),
		Terminal:     s.Terminal,
		Replicas:     int64(s.Replicas),
		Ready:        probeToProto(s.Ready),
		ReadyTimeout: int64(s.ReadyTimeout),
		Live:         probeToProto(s.Live),
		SuccessCodes: numbers[int64](s.SuccessCodes),
		Limits:       &runtimepb.Limits{Memory: s.Limits.Memory, MilliCpu: int64(s.Limits.MilliCPU), Pids: int64(s.Limits.PIDs)},
		Restart: &runtimepb.Restart{
			Policy: string(s.Restart.Policy), Min: int64(s.Restart.Min), Max: int64(s.Restart.Max),
			Limit: int64(s.Restart.Limit), Window: int64(s.Restart.Window),
		},
		Stop:     &runtimepb.StopPolicy{Signal: s.Stop.Signal, Grace: int64(s.Stop.Grace)},
		Snapshot: s.Snapshot,
		Trial:    s.Trial,
	}
	for name, value := range s.Environment {
		p.Environment = append(p.Environment, &runtimepb.Variable{Name: []byte(name), Value: []byte(value)})
	}
	for _, port := range s.Ports {
		p.Ports = append(p.Ports, &runtimepb.Port{Name: port.Name, Number: int64(port.Number), Protocol: port.Protocol})
	}
	p.Sockets = socketsToProto(s.Sockets)
	return p
}

func specFromProto(p *runtimepb.Spec) runtime.Spec {
	s := runtime.Spec{
		ID:           idFromProto(p.GetId()),
		Log:          p.GetLog(),
		Command:      bytesFromProto(p.GetCommand()),
		Dir:          string(p.GetDir()),
		Inherited:    bytesFromProto(p.GetInherited()),
		Terminal:     p.GetTerminal(),
		Replicas:     int(p.GetReplicas()),
		Ready:        probeFromProto(p.GetReady()),
		ReadyTimeout: time.Duration(p.GetReadyTimeout()),
		Live:         probeFromProto(p.GetLive()),
		SuccessCodes: numbers[int](p.GetSuccessCodes()),
		Limits: runtime.Limits{
			Memory: p.GetLimits().GetMemory(), MilliCPU: int(p.GetLimits().GetMilliCpu()), PIDs: int(p.GetLimits().GetPids()),
		},
		Restart:  restartFromProto(p.GetRestart()),
		Stop:     runtime.Stop{Signal: p.GetStop().GetSignal(), Grace: time.Duration(p.GetStop().GetGrace())},
		Snapshot: p.GetSnapshot(),
		Trial:    p.GetTrial(),
	}
	if len(p.GetEnvironment()) > 0 {
		s.Environment = make(map[string]string, len(p.GetEnvironment()))
	}
	for _, v := range p.GetEnvironment() {
		s.Environment[string(v.GetName())] = string(v.GetValue())
	}
	for _, port := range p.GetPorts() {
		s.Ports = append(s.Ports, runtime.Port{Name: port.GetName(), Number: int(port.GetNumber()), Protocol: port.GetProtocol()})
	}
	s.Sockets = socketsFromProto(p.GetSockets())
	return s
}

// numbers converts between the widths of Go and of the wire.
func numbers[To, From int | int64](list []From) []To {
	var out []To
	for _, n := range list {
		out = append(out, To(n))
	}
	return out
}

func restartFromProto(p *runtimepb.Restart) runtime.Restart {
	return runtime.Restart{
		Policy: runtime.RestartPolicy(p.GetPolicy()), Min: time.Duration(p.GetMin()), Max: time.Duration(p.GetMax()),
		Limit: int(p.GetLimit()), Window: time.Duration(p.GetWindow()),
	}
}

func probeToProto(p *runtime.Probe) *runtimepb.Probe {
	if p == nil {
		return nil
	}
	return &runtimepb.Probe{
		Kind: string(p.Kind), Port: p.Port, Path: p.Path, Command: bytesToProto(p.Command),
		Timeout: int64(p.Timeout), Interval: int64(p.Interval),
		Service: []byte(p.Service), Text: []byte(p.Text), Failures: int64(p.Failures),
	}
}

func probeFromProto(p *runtimepb.Probe) *runtime.Probe {
	if p == nil {
		return nil
	}
	return &runtime.Probe{
		Kind: runtime.ProbeKind(p.GetKind()), Port: p.GetPort(), Path: p.GetPath(), Command: bytesFromProto(p.GetCommand()),
		Timeout: time.Duration(p.GetTimeout()), Interval: time.Duration(p.GetInterval()),
		Service: string(p.GetService()), Text: string(p.GetText()), Failures: int(p.GetFailures()),
	}
}

func stopToProto(id runtime.ID, how runtime.StopRequest) *runtimepb.StopRequest {
	return &runtimepb.StopRequest{Id: idToProto(id), Drain: how.Drain, Grace: int64(how.Grace), Kill: how.Kill}
}

func stopFromProto(p *runtimepb.StopRequest) (runtime.ID, runtime.StopRequest) {
	return idFromProto(p.GetId()), runtime.StopRequest{Drain: p.GetDrain(), Grace: time.Duration(p.GetGrace()), Kill: p.GetKill()}
}
