package manifest

import (
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// What a service gets that says nothing. Five restarts within a minute at
// growing distances tell a fault that stays from one that passes.
const (
	defaultMin    = 100 * time.Millisecond
	defaultMax    = 30 * time.Second
	defaultLimit  = 5
	defaultWindow = time.Minute
	defaultSignal = "TERM"
	defaultGrace  = 10 * time.Second // as Compose
)

var policies = []string{string(runtime.RestartNo), string(runtime.RestartOnFailure), string(runtime.RestartAlways)}

// signals are those that can ask a process to end, on every Unix.
var signals = []string{"ABRT", "ALRM", "HUP", "INT", "KILL", "QUIT", "TERM", "USR1", "USR2", "WINCH"}

// readRestart reads the policy: a word, or a mapping with the back-off.
func (s *draft) readRestart() {
	s.spec.Restart = runtime.Restart{Policy: runtime.RestartOnFailure, Min: defaultMin, Max: defaultMax, Limit: defaultLimit, Window: defaultWindow}
	f, ok := s.keys["restart"]
	if !ok {
		return
	}
	r := &s.spec.Restart
	if f.value.Kind != yaml.MappingNode {
		s.policy(f.value, r)
		return
	}
	keys := s.known(f.value, "restart", []string{"policy", "min", "max", "limit", "window"}, nil)
	if f, ok := keys["policy"]; ok {
		s.policy(f.value, r)
	}
	if f, ok := keys["min"]; ok {
		r.Min = s.duration(f, time.Millisecond)
		r.Max = max(r.Max, r.Min)
	}
	if f, ok := keys["max"]; ok {
		r.Max = s.duration(f, time.Millisecond)
		if r.Max < r.Min {
			s.wrong(f.value, "", "max %s is less than min %s", r.Max, r.Min)
		}
	}
	if f, ok := keys["limit"]; ok {
		r.Limit = s.whole(f, 0, 1_000_000)
	}
	if f, ok := keys["window"]; ok {
		r.Window = s.duration(f, time.Millisecond)
	}
}

func (s *draft) policy(n *yaml.Node, r *runtime.Restart) {
	text, ok := s.value(n, "restart")
	switch {
	case !ok:
	case slices.Contains(policies, text):
		r.Policy = runtime.RestartPolicy(text)
	case text == "false", text == "never":
		s.wrong(n, "write restart: no", "restart %q is not known", text)
	case text == "unless-stopped", text == "true":
		s.wrong(n, "write restart: always (stead down stops it all the same)", "restart %q is not known", text)
	case strings.HasPrefix(text, "on-failure:"):
		s.wrong(n, "write {policy: on-failure, limit: "+strings.TrimPrefix(text, "on-failure:")+"}", "restart %q is not known", text)
	default:
		s.wrong(n, suggest(text, policies), "restart %q is not known", text)
	}
}

// readStop reads how the service is ended, in our words or in Compose's.
func (s *draft) readStop() {
	s.spec.Stop = runtime.Stop{Signal: defaultSignal, Grace: defaultGrace}
	f, ok := s.keys["stop"]
	keys := map[string]field{}
	if ok {
		keys = s.known(f.value, "stop", []string{"signal", "grace"}, nil)
	}
	for compose, ours := range map[string]string{"stop_signal": "signal", "stop_grace_period": "grace"} {
		other, here := s.keys[compose]
		if !here {
			continue
		}
		if _, both := keys[ours]; both {
			s.wrong(other.key, "remove one of them", "%s and stop: {%s: …} are the same", compose, ours)
		}
		keys[ours] = other
	}
	if f, ok := keys["signal"]; ok {
		s.spec.Stop.Signal = s.signal(f.value)
	}
	if f, ok := keys["grace"]; ok {
		s.spec.Stop.Grace = s.duration(f, 0)
	}
}

func (s *draft) signal(n *yaml.Node) string {
	text, ok := s.value(n, "signal")
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	if ok && !slices.Contains(signals, name) {
		s.wrong(n, suggest(name, signals), "signal %q is not known", text)
	}
	return name
}
