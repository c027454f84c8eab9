package plugin

import (
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

func queryToProto(q runtime.LogQuery) *runtimepb.LogsRequest {
	return &runtimepb.LogsRequest{
		Environment: q.Environment, Project: q.Project, Service: q.Service, Generation: q.Generation,
		Since: timeToProto(q.Since), Until: timeToProto(q.Until),
		Last: int64(q.Last), Offset: q.Offset, Follow: q.Follow,
		Match: []byte(q.Match), Stream: runtimepb.Stream(q.Stream),
	}
}

func queryFromProto(p *runtimepb.LogsRequest) runtime.LogQuery {
	return runtime.LogQuery{
		Environment: p.GetEnvironment(), Project: p.GetProject(), Service: p.GetService(), Generation: p.GetGeneration(),
		Since: timeFromProto(p.GetSince()), Until: timeFromProto(p.GetUntil()),
		Last: int(p.GetLast()), Offset: p.GetOffset(), Follow: p.GetFollow(),
		Match: string(p.GetMatch()), Stream: runtime.Stream(p.GetStream()),
	}
}

// blockToProto shares b.Data.
func blockToProto(b runtime.LogBlock) *runtimepb.LogBlock {
	return &runtimepb.LogBlock{
		Service: b.Service, Instance: instanceToProto(b.Instance), Stream: runtimepb.Stream(b.Stream),
		Time: timeToProto(b.Time), Offset: b.Offset, Data: b.Data, Gap: b.Gap,
	}
}

func blockFromProto(p *runtimepb.LogBlock) runtime.LogBlock {
	return runtime.LogBlock{
		Service: p.GetService(), Instance: instanceFromProto(p.GetInstance()), Stream: runtime.Stream(p.GetStream()),
		Time: timeFromProto(p.GetTime()), Offset: p.GetOffset(), Data: p.GetData(), Gap: p.GetGap(),
	}
}

func sizeToProto(s *runtime.Size) *runtimepb.Size {
	if s == nil {
		return nil
	}
	return &runtimepb.Size{Columns: int64(s.Columns), Rows: int64(s.Rows)}
}

func sizeFromProto(p *runtimepb.Size) *runtime.Size {
	if p == nil {
		return nil
	}
	return &runtime.Size{Columns: int(p.GetColumns()), Rows: int(p.GetRows())}
}

func openToProto(r runtime.TerminalRequest) *runtimepb.TerminalOpen {
	p := &runtimepb.TerminalOpen{Size: sizeToProto(&r.Size)}
	if r.Attach != nil {
		// not instanceToProto: that an instance was named, be it the zero one, must survive
		p.Attach = &runtimepb.InstanceID{Id: idToProto(r.Attach.ID), Replica: int64(r.Attach.Replica), Attempt: int64(r.Attach.Attempt)}
	}
	if r.Run != nil {
		p.Run = specToProto(*r.Run)
	}
	return p
}

func openFromProto(p *runtimepb.TerminalOpen) runtime.TerminalRequest {
	var r runtime.TerminalRequest
	if size := sizeFromProto(p.GetSize()); size != nil {
		r.Size = *size
	}
	if p.GetAttach() != nil {
		id := instanceFromProto(p.GetAttach())
		r.Attach = &id
	}
	if p.GetRun() != nil {
		spec := specFromProto(p.GetRun())
		r.Run = &spec
	}
	return r
}

func inputToProto(in runtime.TerminalInput) *runtimepb.TerminalRequest {
	return &runtimepb.TerminalRequest{Data: in.Data, Resize: sizeToProto(in.Resize), Eof: in.EOF}
}

func inputFromProto(p *runtimepb.TerminalRequest) runtime.TerminalInput {
	return runtime.TerminalInput{Data: p.GetData(), Resize: sizeFromProto(p.GetResize()), EOF: p.GetEof()}
}

func outputToProto(out runtime.TerminalOutput) *runtimepb.TerminalResponse {
	return &runtimepb.TerminalResponse{Data: out.Data, Stream: runtimepb.Stream(out.Stream), Exit: exitToProto(out.Exit)}
}

func outputFromProto(p *runtimepb.TerminalResponse) runtime.TerminalOutput {
	return runtime.TerminalOutput{Data: p.GetData(), Stream: runtime.Stream(p.GetStream()), Exit: exitFromProto(p.GetExit())}
}
