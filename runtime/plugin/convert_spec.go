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
		Limits:       limitsToProto(s.Limits),
		Requests:     limitsToProto(s.Requests),
		Restart: &runtimepb.Restart{
			Policy: string(s.Restart.Policy), Min: int64(s.Restart.Min), Max: int64(s.Restart.Max),
			Limit: int64(s.Restart.Limit), Window: int64(s.Restart.Window),
		},
		Stop:     &runtimepb.StopPolicy{Signal: s.Stop.Signal, Grace: int64(s.Stop.Grace)},
		Snapshot: s.Snapshot,
		Trial:    s.Trial,
		OneShot:  s.OneShot,
		Image:    text(s.Image),
		Package:  packageToProto(s.Package),
		Secrets:  bytesToProto(s.Secrets),
		Patch:    []byte(s.Patch),

		Environment: variablesToProto(s.Environment),
		Data:        variablesToProto(s.Data),
	}
	for _, port := range s.Ports {
		p.Ports = append(p.Ports, &runtimepb.Port{
			Name: port.Name, Number: int64(port.Number), Protocol: port.Protocol, Published: int64(port.Published),
		})
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
		Limits:       limitsFromProto(p.GetLimits()),
		Requests:     limitsFromProto(p.GetRequests()),
		Restart:      restartFromProto(p.GetRestart()),
		Stop:         runtime.Stop{Signal: p.GetStop().GetSignal(), Grace: time.Duration(p.GetStop().GetGrace())},
		Snapshot:     p.GetSnapshot(),
		Trial:        p.GetTrial(),
		OneShot:      p.GetOneShot(),
		Image:        p.GetImage(),
		Package:      packageFromProto(p.GetPackage()),
		Secrets:      bytesFromProto(p.GetSecrets()),
		Patch:        string(p.GetPatch()),

		Environment: variablesFromProto(p.GetEnvironment()),
		Data:        variablesFromProto(p.GetData()),
	}
	for _, port := range p.GetPorts() {
		s.Ports = append(s.Ports, runtime.Port{
			Name: port.GetName(), Number: int(port.GetNumber()), Protocol: port.GetProtocol(), Published: int(port.GetPublished()),
		})
	}
	s.Sockets = socketsFromProto(p.GetSockets())
	return s
}

func limitsToProto(l runtime.Limits) *runtimepb.Limits {
	return &runtimepb.Limits{Memory: l.Memory, MilliCpu: int64(l.MilliCPU), Pids: int64(l.PIDs)}
}

func limitsFromProto(p *runtimepb.Limits) runtime.Limits {
	return runtime.Limits{Memory: p.GetMemory(), MilliCPU: int(p.GetMilliCpu()), PIDs: int(p.GetPids())}
}

func packageToProto(p *runtime.Package) *runtimepb.Package {
	if p == nil {
		return nil
	}
	return &runtimepb.Package{Base: text(p.Base), Files: bytesToProto(p.Files), Root: []byte(p.Root), Platforms: p.Platforms}
}

func packageFromProto(p *runtimepb.Package) *runtime.Package {
	if p == nil {
		return nil
	}
	return &runtime.Package{Base: p.GetBase(), Files: bytesFromProto(p.GetFiles()), Root: string(p.GetRoot()), Platforms: p.GetPlatforms()}
}

func variablesToProto(m map[string]string) []*runtimepb.Variable {
	var out []*runtimepb.Variable
	for name, value := range m {
		out = append(out, &runtimepb.Variable{Name: []byte(name), Value: []byte(value)})
	}
	return out
}

func variablesFromProto(list []*runtimepb.Variable) map[string]string {
	if len(list) == 0 {
		return nil
	}
	m := make(map[string]string, len(list))
	for _, v := range list {
		m[string(v.GetName())] = string(v.GetValue())
	}
	return m
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
