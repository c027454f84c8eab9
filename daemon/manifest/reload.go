package manifest

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/supervisor"
)

const leaveReload = "write reload: restart, or leave it out"

var reloads = []string{
	string(supervisor.ReloadOverlap), string(supervisor.ReloadRestart), string(supervisor.ReloadSignal), string(supervisor.ReloadNone),
}

// reloadSignals are those that a service may take as a word to read its files
// again, on every Unix.
var reloadSignals = []string{"ALRM", "HUP", "INT", "QUIT", "USR1", "USR2", "WINCH"}

// readReload reads how a change takes effect: a word, "signal: HUP", or
// {signal: HUP}. Whether it can be done, settleReload says.
func (s *draft) readReload() {
	f, ok := s.keys["reload"]
	if !ok {
		return
	}
	if f.value.Kind == yaml.MappingNode {
		signal, ok := s.known(f.value, "reload", []string{"signal"}, nil)["signal"]
		if ok {
			if text, ok := s.value(signal.value, "signal"); ok {
				s.reloadSignal(signal.value, text)
			}
		} else if len(f.value.Content) == 0 {
			s.wrong(f.value, "write {signal: HUP}", "reload names no signal")
		}
		return
	}
	text, ok := s.value(f.value, "reload")
	word, signal, named := strings.Cut(text, ":")
	switch {
	case !ok:
	case word == string(supervisor.ReloadSignal):
		s.reloadSignal(f.value, strings.TrimSpace(signal))
	case !named && slices.Contains(reloads, text):
		s.plan.Reload = supervisor.Reload(text)
	case text == "false":
		s.wrong(f.value, "write reload: none", "reload %q is not known", text)
	default:
		s.wrong(f.value, suggest(text, reloads), "reload %q is not known", text)
	}
}

func (s *draft) reloadSignal(n *yaml.Node, text string) {
	name := strings.TrimPrefix(strings.ToUpper(text), "SIG")
	switch {
	case text == "":
		s.wrong(n, `write reload: "signal: HUP"`, "reload names no signal")
	case name == "TERM", name == "KILL", name == "ABRT":
		s.wrong(n, "write reload: restart", "signal %s ends a service, and does not have it read its files again", name)
	case !slices.Contains(reloadSignals, name):
		s.wrong(n, suggest(name, reloadSignals), "signal %q is not known", text)
	}
	s.plan.Reload, s.plan.Signal = supervisor.ReloadSignal, name
}

// alone says why two processes of the service cannot run at once, "" when
// they can, as far as ports are concerned.
func (s *draft) alone() string {
	if s.target != nil {
		return "" // each has an address of its own
	}
	for _, p := range s.ports {
		switch {
		case p.mode == ModeSelf:
			return fmt.Sprintf("that listens on port %s itself (mode self)", p.Name)
		case p.targetAt != nil:
			return fmt.Sprintf("that insists on port %d", p.target)
		}
	}
	return ""
}

// settle decides what depends on several keys, and refuses what does not go
// together.
func (s *draft) settle() {
	if s.target != nil {
		s.settleCluster()
		return
	}
	if !s.gateway {
		s.direct()
		return
	}
	s.settleReload()
	if f, alone := s.keys["replicas"], s.alone(); s.spec.Replicas > 1 && alone != "" {
		s.wrong(f.value, "write replicas: 1, or leave it out", "%d replicas are not for a service %s: only one of them could", s.spec.Replicas, alone)
	}
	s.settleStart()
}

// settleReload fills in the default: overlap, where two generations at once
// do no harm. What has no port of ours might do its work twice, and what has
// data would write to it from two sides.
func (s *draft) settleReload() {
	at, alone := s.keys["reload"].value, s.alone()
	switch s.plan.Reload {
	case "":
		s.plan.Reload = supervisor.ReloadOverlap
		if len(s.ports) == 0 || alone != "" || len(s.data) > 0 || s.spec.Terminal {
			s.plan.Reload = supervisor.ReloadRestart
		}
	case supervisor.ReloadOverlap:
		if alone != "" {
			s.wrong(at, leaveReload, "reload overlap is not for a service %s: two at once cannot", alone)
		} else if len(s.data) > 0 {
			s.wrong(at, leaveReload, "reload overlap is not for a service with data: both would write to it")
		}
	case supervisor.ReloadSignal:
		if s.keys["build"].key != nil {
			s.wrong(at, "write reload: overlap, or restart", "reload signal is not for a service with a build: what runs is still the old executable")
		}
	}
}

// settleOneShot is settleReload for what is known when all services are: that
// this one ends by itself.
func (s *draft) settleOneShot() {
	if (s.gateway || s.target != nil) && s.plan.Reload == supervisor.ReloadSignal {
		s.wrong(s.keys["reload"].value, "write reload: restart, to have it run again", "reload signal is not for what runs once: it has ended by then")
	}
}
