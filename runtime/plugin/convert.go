package plugin

import (
	"strings"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

// The conversions come in pairs, xToProto and xFromProto, and know every field
// of both sides; TestRoundTrip fills all fields and fails for a forgotten one.
// An absent message is the zero value, and the zero value is sent as absent.

func timeToProto(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func timeFromProto(ns int64) time.Time {
	if ns == 0 {
		return time.Time{}
	}
	return time.Unix(0, ns)
}

// text makes s fit a proto string. It is for what people read: what must
// arrive byte for byte is bytes in the proto.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

func bytesToProto(list []string) [][]byte {
	var out [][]byte
	for _, s := range list {
		out = append(out, []byte(s))
	}
	return out
}

func bytesFromProto(list [][]byte) []string {
	var out []string
	for _, b := range list {
		out = append(out, string(b))
	}
	return out
}

func idToProto(id runtime.ID) *runtimepb.ID {
	if id == (runtime.ID{}) {
		return nil
	}
	return &runtimepb.ID{Environment: id.Environment, Project: id.Project, Service: id.Service, Number: id.Number}
}

func idFromProto(p *runtimepb.ID) runtime.ID {
	return runtime.ID{Environment: p.GetEnvironment(), Project: p.GetProject(), Service: p.GetService(), Number: p.GetNumber()}
}

func instanceToProto(i runtime.InstanceID) *runtimepb.InstanceID {
	if i == (runtime.InstanceID{}) {
		return nil
	}
	return &runtimepb.InstanceID{Id: idToProto(i.ID), Replica: int64(i.Replica), Attempt: int64(i.Attempt)}
}

func instanceFromProto(p *runtimepb.InstanceID) runtime.InstanceID {
	return runtime.InstanceID{ID: idFromProto(p.GetId()), Replica: int(p.GetReplica()), Attempt: int(p.GetAttempt())}
}

func handleToProto(h runtime.Handle) *runtimepb.Handle {
	if h.Version == 0 && len(h.Data) == 0 {
		return nil
	}
	return &runtimepb.Handle{Version: int64(h.Version), Data: h.Data}
}

func handleFromProto(p *runtimepb.Handle) runtime.Handle {
	return runtime.Handle{Version: int(p.GetVersion()), Data: p.GetData()}
}

func descriptionToProto(d runtime.Description) *runtimepb.DescribeResponse {
	return &runtimepb.DescribeResponse{
		Name: d.Name, Version: int64(d.Version), Build: d.Build, Pid: int64(d.PID),
		Nonce: d.Nonce, Capabilities: d.Capabilities, Goroutines: int64(d.Goroutines),
		Trouble: d.Trouble, Driver: driverToProto(d.Driver),
	}
}

func driverToProto(d *runtime.Driver) *runtimepb.Driver {
	if d == nil {
		return nil
	}
	return &runtimepb.Driver{Self: d.Self, Name: text(d.Name), Since: timeToProto(d.Since)}
}

func driverFromProto(p *runtimepb.Driver) *runtime.Driver {
	if p == nil {
		return nil
	}
	return &runtime.Driver{Self: p.GetSelf(), Name: p.GetName(), Since: timeFromProto(p.GetSince())}
}

func descriptionFromProto(p *runtimepb.DescribeResponse) runtime.Description {
	return runtime.Description{
		Name: p.GetName(), Version: int(p.GetVersion()), Build: p.GetBuild(), PID: int(p.GetPid()),
		Nonce: p.GetNonce(), Capabilities: p.GetCapabilities(), Goroutines: int(p.GetGoroutines()),
		Trouble: p.GetTrouble(), Driver: driverFromProto(p.GetDriver()),
	}
}
