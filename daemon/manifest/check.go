package manifest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// check warns of what is not on disk. These are no errors: it may be there by
// the time the service starts.
func (d *document) check(s *draft, project string, profiles []string) {
	if len(s.spec.Command) == 0 || s.spec.Image != "" || keptBack(s.profiles, profiles) {
		return
	}
	d.service = s.name
	defer func() { d.service = "" }()
	s.checkWatch()
	if info, err := os.Stat(s.spec.Dir); err != nil || !info.IsDir() {
		d.warn(s.keys["working_dir"].value, "", "directory %s is not there", s.spec.Dir)
		return
	}
	command := s.spec.Command[0]
	if s.build.command != nil || !strings.Contains(command, "/") {
		return // it is to be built, or looked for in a PATH that is known only later
	}
	path := command
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.spec.Dir, path)
	}
	if !strings.HasPrefix(path, project+string(filepath.Separator)) {
		return
	}
	info, err := os.Stat(path)
	switch at := s.keys["command"].value; {
	case err != nil:
		d.warn(at, "write build: and how it is made", "command %s is not there, and nothing builds it", command)
	case info.IsDir():
		d.warn(at, "", "command %s is a directory", command)
	case info.Mode()&0o111 == 0:
		d.warn(at, "chmod +x "+command, "command %s is not executable", command)
	}
}

// checkWatch warns of what is to be watched, and is there for nobody.
func (s *draft) checkWatch() {
	for _, n := range s.named {
		if _, err := os.Stat(s.path(n, "watch")); err != nil && s.build.command == nil {
			s.warn(n, "what works is auto, none, and files and directories", "watch: %s is not there", n.Value)
		}
	}
}

// keptBack reports whether a service has profiles, and none of them is on.
func keptBack(profiles, on []string) bool {
	return len(profiles) > 0 && !slices.ContainsFunc(profiles, func(p string) bool { return slices.Contains(on, p) })
}
