package ipc

import (
	"context"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// The bounds of a look at processes, so that a status stays as quick as it is:
// it costs some reads in /proc for each.
const (
	haltedMost  = 200 // instances; of more than that nobody reads the status
	haltedLimit = 200 * time.Millisecond
)

// halted says why instances stand still, by generation/replica/attempt of
// each service, as far as the backend can look.
func (h handlers) halted(ctx context.Context, p *Present, names []supervisor.Name) map[runtime.InstanceID]string {
	inspector, ok := h.backend.(Inspector)
	if !ok {
		return nil
	}
	var ids []supervisor.ID
	instances := 0
	for _, name := range names {
		s := p.State.Service(name)
		for i := range s.Generations {
			alive := 0
			for _, in := range s.Generations[i].Instances {
				if in.Exit == "" {
					alive++
				}
			}
			if alive > 0 {
				ids = append(ids, supervisor.ID{Name: name, Number: s.Generations[i].Number})
			}
			instances += alive
		}
	}
	if instances == 0 || instances > haltedMost {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, haltedLimit)
	defer cancel()
	why := map[runtime.InstanceID]string{}
	for _, one := range inspector.Inspect(ctx, ids) {
		if one.Halted != "" {
			why[one.Instance] = valid(one.Halted)
		}
	}
	return why
}

// haltedOf is what halted has found of one service: the first instance's, in
// the order of a status.
func haltedOf(s supervisor.Service, why map[runtime.InstanceID]string) string {
	for i := range s.Generations {
		for _, in := range s.Generations[i].Instances {
			if text := why[instanceID(s.Name, s.Generations[i].Number, in)]; text != "" {
				return text
			}
		}
	}
	return ""
}

func instanceID(name supervisor.Name, number uint64, i supervisor.Instance) runtime.InstanceID {
	return runtime.InstanceID{
		ID:      runtime.ID{Environment: name.Environment, Project: name.Project, Service: name.Service, Number: number},
		Replica: i.Replica, Attempt: i.Attempt,
	}
}
