package manifest

import (
	"slices"
	"time"
)

const (
	startUp       = "up"
	startOnDemand = "on-demand"

	leastIdle  = time.Second // less, and it would sleep between two clicks
	leastDrain = time.Millisecond
	mostDrain  = time.Hour // a replaced generation is not kept for ever
)

// readStart reads when the service starts, and how long its traffic may take
// to leave it. Whether that can be done, settleStart says.
func (s *draft) readStart() {
	if f, ok := s.keys["start"]; ok {
		text, ok := s.value(f.value, "start")
		switch {
		case !ok, text == startUp:
		case text == startOnDemand:
			s.plan.OnDemand = true
		case text == "lazy", text == "socket", text == "on_demand":
			s.wrong(f.value, "write start: on-demand", "start %q is not known", text)
		case text == "manual", text == "false":
			s.wrong(f.value, "write profiles: [manual]: it is left out unless it is named", "start %q is not known", text)
		default:
			s.wrong(f.value, suggest(text, []string{startUp, startOnDemand}), "start %q is not known", text)
		}
	}
	if f, ok := s.keys["idle"]; ok {
		s.plan.Idle = s.duration(f, leastIdle)
	}
	if f, ok := s.keys["drain"]; ok {
		s.plan.Drain = s.duration(f, leastDrain)
		if s.plan.Drain > mostDrain {
			s.wrong(f.value, "", "drain must be at most %s, not %s", mostDrain, s.plan.Drain)
		}
	}
}

// settleStart refuses what would have no effect.
func (s *draft) settleStart() {
	start, idle, drain := s.keys["start"], s.keys["idle"], s.keys["drain"]
	proxied := slices.ContainsFunc(s.ports, func(p port) bool { return p.mode == ModeProxy })
	if drain.key != nil && !proxied {
		s.wrong(drain.key, "remove it, or give the service a port of mode proxy", "drain goes with a port that the gateway holds: of others it does not know who uses them")
	}
	if !s.plan.OnDemand {
		if idle.key != nil {
			s.wrong(idle.key, "add start: on-demand, or remove it", "idle goes with start: on-demand: nothing would start the service again")
		}
		return
	}
	switch {
	case !proxied:
		s.wrong(start.value, "write start: up, or give the service a port of mode proxy", "start on-demand needs a port that the gateway holds: nobody else knows of callers")
	case s.spec.Terminal:
		s.wrong(start.value, "write start: up", "start on-demand is not for a service with a terminal: its user would find it asleep")
	case s.spec.Replicas > 1:
		s.wrong(start.value, "write start: up, or replicas: 1", "start on-demand is for one replica: the first caller would wait for all %d", s.spec.Replicas)
	}
	for _, p := range s.ports {
		if proxied && p.mode != ModeProxy {
			s.warn(p.modeAt, "write mode: proxy, or leave it out", "port %s: whoever calls it does not wake the service, as the gateway does not hold it", p.Name)
		}
	}
}
