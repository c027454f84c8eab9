package manifest

import "github.com/stead-dev/stead/supervisor"

const needsGateway = "it needs the gateway, which is not there yet: give the port the service listens on itself"

// direct is settle without a gateway (Request.Gateway): services listen on
// their published ports themselves, so two of them cannot run at once, nobody
// wakes them, and what says otherwise is refused as not there yet.
func (s *draft) direct() {
	for i, p := range s.ports {
		switch {
		case p.modeAt != nil:
			s.wrong(p.modeAt, needsGateway, `"mode" is not a key of a port`)
		case p.targetAt == p.at:
			s.wrong(p.at, needsGateway, "port %s: publishing %q on another port is not there yet", p.Name, p.at.Value)
			s.ports[i].Number = 0
		case p.targetAt != nil:
			s.wrong(p.targetAt, needsGateway, `"target" is not a key of a port`)
		}
		s.ports[i].mode, s.ports[i].target, s.ports[i].targetAt = ModeSelf, 0, nil
	}
	s.directReload()
	if s.spec.Replicas > 1 && len(s.ports) > 0 {
		s.wrong(s.keys["replicas"].value, "write replicas: 1, or leave it out", "%d replicas are not there yet for a service with ports: all would listen on the same one", s.spec.Replicas)
	}
	for _, key := range []string{"start", "idle", "drain"} {
		if f, ok := s.keys[key]; ok {
			s.wrong(f.key, "it is not there yet: services start with stead up", "%q is not a key of a service", key)
		}
	}
	if f, ok := s.keys["watch"]; ok {
		s.warn(f.key, "use stead restart after a change", "watch is not in effect yet")
	}
}

func (s *draft) directReload() {
	at := s.keys["reload"].value
	switch s.plan.Reload {
	case "":
		s.plan.Reload = supervisor.ReloadRestart
	case supervisor.ReloadOverlap:
		if len(s.ports) > 0 {
			s.wrong(at, leaveReload, "reload overlap is not there yet for a service with ports: both would listen on the same one")
		} else if len(s.data) > 0 {
			s.wrong(at, leaveReload, "reload overlap is not for a service with data: both would write to it")
		}
	case supervisor.ReloadSignal, supervisor.ReloadNone:
		s.wrong(at, "what works now is overlap and restart", "reload %s is not there yet", at.Value)
	}
}
