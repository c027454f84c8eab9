package plugin

import (
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

func socketToProto(s runtime.Socket) *runtimepb.Socket {
	return &runtimepb.Socket{Name: []byte(s.Name), Address: text(s.Address), Reserve: s.Reserve}
}

func socketFromProto(p *runtimepb.Socket) runtime.Socket {
	return runtime.Socket{Name: string(p.GetName()), Address: p.GetAddress(), Reserve: p.GetReserve()}
}

func socketsToProto(list []runtime.Socket) []*runtimepb.Socket {
	var out []*runtimepb.Socket
	for _, s := range list {
		out = append(out, socketToProto(s))
	}
	return out
}

func socketsFromProto(list []*runtimepb.Socket) []runtime.Socket {
	var out []runtime.Socket
	for _, p := range list {
		out = append(out, socketFromProto(p))
	}
	return out
}

func listenToProto(sockets []runtime.Socket) *runtimepb.ListenRequest {
	return &runtimepb.ListenRequest{Sockets: socketsToProto(sockets)}
}

func listenFromProto(p *runtimepb.ListenRequest) []runtime.Socket {
	return socketsFromProto(p.GetSockets())
}

func statusesToProto(list []runtime.SocketStatus) *runtimepb.ListenResponse {
	p := new(runtimepb.ListenResponse)
	for _, s := range list {
		p.Sockets = append(p.Sockets, &runtimepb.SocketStatus{
			Socket: socketToProto(s.Socket), Error: text(s.Error), Hint: text(s.Hint), Absent: s.Absent,
		})
	}
	return p
}

func statusesFromProto(p *runtimepb.ListenResponse) []runtime.SocketStatus {
	var out []runtime.SocketStatus
	for _, s := range p.GetSockets() {
		out = append(out, runtime.SocketStatus{
			Socket: socketFromProto(s.GetSocket()), Error: s.GetError(), Hint: s.GetHint(), Absent: s.GetAbsent(),
		})
	}
	return out
}

func inspectToProto(ids []runtime.ID) *runtimepb.InspectRequest {
	p := new(runtimepb.InspectRequest)
	for _, id := range ids {
		p.Ids = append(p.Ids, idToProto(id))
	}
	return p
}

func inspectFromProto(p *runtimepb.InspectRequest) []runtime.ID {
	var out []runtime.ID
	for _, id := range p.GetIds() {
		out = append(out, idFromProto(id))
	}
	return out
}

func inspectionsToProto(list []runtime.Inspection) *runtimepb.InspectResponse {
	p := new(runtimepb.InspectResponse)
	for _, i := range list {
		p.Instances = append(p.Instances, &runtimepb.Inspection{Instance: instanceToProto(i.Instance), Halted: text(i.Halted)})
	}
	return p
}

func inspectionsFromProto(p *runtimepb.InspectResponse) []runtime.Inspection {
	var out []runtime.Inspection
	for _, i := range p.GetInstances() {
		out = append(out, runtime.Inspection{Instance: instanceFromProto(i.GetInstance()), Halted: i.GetHalted()})
	}
	return out
}
