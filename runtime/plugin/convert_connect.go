package plugin

import (
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

func connectToProto(r runtime.ConnectRequest) *runtimepb.ConnectOpen {
	return &runtimepb.ConnectOpen{Id: idToProto(r.ID), Port: []byte(r.Port)}
}

func connectFromProto(p *runtimepb.ConnectOpen) runtime.ConnectRequest {
	return runtime.ConnectRequest{ID: idFromProto(p.GetId()), Port: string(p.GetPort())}
}

func statsToProto(list []runtime.Stat) *runtimepb.StatsResponse {
	p := new(runtimepb.StatsResponse)
	for _, s := range list {
		p.Stats = append(p.Stats, &runtimepb.Stat{
			Instance: instanceToProto(s.Instance), Time: timeToProto(s.Time), Cpu: int64(s.CPU),
			Memory: s.Memory, Read: s.Read, Written: s.Written, Pids: int64(s.PIDs),
		})
	}
	return p
}

func statsFromProto(p *runtimepb.StatsResponse) []runtime.Stat {
	var out []runtime.Stat
	for _, s := range p.GetStats() {
		out = append(out, runtime.Stat{
			Instance: instanceFromProto(s.GetInstance()), Time: timeFromProto(s.GetTime()), CPU: time.Duration(s.GetCpu()),
			Memory: s.GetMemory(), Read: s.GetRead(), Written: s.GetWritten(), PIDs: int(s.GetPids()),
		})
	}
	return out
}

func previewToProto(r runtime.PreviewRequest) *runtimepb.PreviewRequest {
	p := &runtimepb.PreviewRequest{Environment: r.Environment, Project: r.Project, Kind: string(r.Kind)}
	for _, s := range r.Specs {
		p.Specs = append(p.Specs, specToProto(s))
	}
	return p
}

func previewFromProto(p *runtimepb.PreviewRequest) runtime.PreviewRequest {
	r := runtime.PreviewRequest{Environment: p.GetEnvironment(), Project: p.GetProject(), Kind: runtime.PreviewKind(p.GetKind())}
	for _, s := range p.GetSpecs() {
		r.Specs = append(r.Specs, specFromProto(s))
	}
	return r
}

func previewsToProto(list []runtime.Preview) *runtimepb.PreviewResponse {
	p := new(runtimepb.PreviewResponse)
	for _, v := range list {
		p.Previews = append(p.Previews, &runtimepb.Preview{
			Kind: v.Kind, Name: text(v.Name), Service: v.Service, Action: v.Action, Text: []byte(v.Text),
		})
	}
	return p
}

func previewsFromProto(p *runtimepb.PreviewResponse) []runtime.Preview {
	var out []runtime.Preview
	for _, v := range p.GetPreviews() {
		out = append(out, runtime.Preview{
			Kind: v.GetKind(), Name: v.GetName(), Service: v.GetService(), Action: v.GetAction(), Text: string(v.GetText()),
		})
	}
	return out
}
