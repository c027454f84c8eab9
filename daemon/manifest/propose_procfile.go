package manifest

import (
	"path/filepath"
	"regexp"
	"strings"
)

// process is a line of a Procfile, as foreman reads it.
var process = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

var readsPort = regexp.MustCompile(`\$(PORT\b|\{PORT\b)`)

// proposeProcfile reads Procfile.dev, which is written for a developer, else
// Procfile.
func proposeProcfile(dir string) source {
	for _, name := range []string{"Procfile.dev", "Procfile"} {
		text, err := readText(filepath.Join(dir, name))
		if err != nil {
			continue
		}
		s := source{name: name, explicit: true}
		for line := range strings.Lines(text) {
			match := process.FindStringSubmatch(strings.TrimSpace(line))
			if match == nil {
				continue
			}
			one := proposed{name: nameOf(match[1]), lines: command(strings.ReplaceAll(match[2], "$", "$$"))}
			switch {
			case match[1] == "release":
				one.lines = append(one.lines, "restart: no # runs once")
			case readsPort.MatchString(match[2]), match[1] == "web":
				one.lines = append(one.lines, "ports: {http: auto} # where it is reached; it listens on $PORT")
			}
			s.services = append(s.services, one)
		}
		return s
	}
	return source{}
}
