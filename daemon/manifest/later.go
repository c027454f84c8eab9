package manifest

import (
	"fmt"
	"regexp"

	"go.yaml.in/yaml/v4"
)

var (
	memorySize = regexp.MustCompile(`^[1-9][0-9]*(\.[0-9]+)?([KMGT]i?)?B?$`)
	cpuCount   = regexp.MustCompile(`^([1-9][0-9]*|0)(\.[0-9]+)?$`)
)

// readLater checks the keys that are read but have no effect yet, so that a
// manifest with them is right on the day they get one.
func (s *draft) readLater() {
	if f, ok := s.keys["watch"]; ok {
		s.texts(f.value, "watch")
		s.warn(f.key, "use stead restart after a change", "watch is not in effect yet")
	}
	if f, ok := s.keys["limits"]; ok {
		s.readLimits(f.value)
		s.warn(f.key, "", "limits is not in effect yet")
	}
	if f, ok := s.keys["image"]; ok && s.keys["command"].key != nil {
		s.text(f.value, "image")
		s.warn(f.key, "", "image is not used here: the command runs on this machine")
	}
}

func (s *draft) readLimits(n *yaml.Node) {
	keys := s.known(n, "limits", []string{"memory", "cpus", "pids"}, nil)
	if f, ok := keys["memory"]; ok {
		s.amount(f, memorySize, "512Mi")
	}
	if f, ok := keys["cpus"]; ok {
		s.amount(f, cpuCount, "0.5")
	}
	if f, ok := keys["pids"]; ok {
		s.whole(f, 1, 1<<22) // the kernel's PID_MAX_LIMIT
	}
}

func (s *draft) amount(f field, form *regexp.Regexp, example string) {
	if text, ok := s.value(f.value, f.key.Value); ok && !form.MatchString(text) {
		s.wrong(f.value, fmt.Sprintf("write it like %s", example), "%s: %q is not understood", f.key.Value, text)
	}
}
