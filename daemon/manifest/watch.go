package manifest

import (
	"path"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"go.yaml.in/yaml/v4"
)

// A WatchMode says how the files are found whose change reloads a service.
type WatchMode string

// The ways to watch.
const (
	WatchAuto  WatchMode = "auto"  // by what the service is, from Watch.Dir on, and Watch.Paths
	WatchPaths WatchMode = "paths" // Watch.Paths alone
	WatchNone  WatchMode = "none"
)

// Watch says which files' change reloads a service.
//
// Paths and Ignore are patterns of doublestar (**, *, ?, [a-z], {a,b}, and \
// before what is meant as it is) for whole, absolute, cleaned paths with
// slashes. One that names a file or a directory covers all below it: it ends
// in /**, which stands for nothing as well. Ignore wins.
type Watch struct {
	Mode   WatchMode
	Dir    string // absolute: where the build runs, else the service
	Paths  []string
	Ignore []string
	Poll   bool // look at the files, whatever the file system tells: changes are made where it does not see them
}

// Words of watch, besides patterns.
var watchWords = map[string]WatchMode{
	"auto": WatchAuto, "true": WatchAuto, "none": WatchNone, "false": WatchNone, "no": WatchNone,
}

// readWatch reads watch: a word, a pattern, a list of those, or {paths,
// ignore, poll}. A pattern that begins with ! is one to ignore.
func (s *draft) readWatch() {
	f, ok := s.keys["watch"]
	if !ok {
		return
	}
	if f.value.Kind != yaml.ScalarNode && len(f.value.Content) == 0 {
		s.wrong(f.value, "write watch: auto, or none", "watch says nothing")
	}
	if f.value.Kind != yaml.MappingNode {
		s.watchPaths(f.value, "watch")
	} else {
		keys := s.known(f.value, "watch", []string{"paths", "ignore", "poll"}, map[string]string{
			"path": "write paths", "exclude": "write ignore", "action": "write reload in the service", "target": "files are where they are: there is nothing to copy them to",
		})
		if f, ok := keys["paths"]; ok {
			s.watchPaths(f.value, "paths")
		}
		if f, ok := keys["ignore"]; ok {
			s.watchIgnore(f.value)
		}
		if f, ok := keys["poll"]; ok {
			s.watch.Poll = s.boolean(f)
		}
	}
	if s.watch.Mode == "" && len(s.watch.Paths) > 0 {
		s.watch.Mode = WatchPaths
	}
	if s.watch.Mode == "" { // nothing but what to leave out
		s.watch.Mode = WatchAuto
	}
}

// nodesOf are those of a list; a single one is a list of one.
func (d *document) nodesOf(n *yaml.Node) []*yaml.Node {
	if n.Kind == yaml.SequenceNode {
		return d.items(n)
	}
	return []*yaml.Node{n}
}

func (s *draft) watchPaths(list *yaml.Node, what string) {
	nodes := s.nodesOf(list)
	for _, n := range nodes {
		if mode, ok := watchWords[n.Value]; ok && n.Kind == yaml.ScalarNode {
			if mode == WatchNone && (len(nodes) > 1 || what == "paths") {
				s.wrong(n, "write watch: none alone, or remove it", "%s: %s does not go with anything else", what, n.Value)
			}
			s.watch.Mode = mode
			continue
		}
		pattern, not, ok := s.pattern(n, what)
		switch {
		case !ok:
		case not:
			s.watch.Ignore = append(s.watch.Ignore, pattern)
		default:
			s.watch.Paths = append(s.watch.Paths, pattern)
		}
	}
}

func (s *draft) watchIgnore(list *yaml.Node) {
	for _, n := range s.nodesOf(list) {
		pattern, not, ok := s.pattern(n, "ignore")
		if not {
			s.wrong(n, "remove the !", "ignore: %q is left out already", n.Value)
		} else if ok {
			s.watch.Ignore = append(s.watch.Ignore, pattern)
		}
	}
}

// meta are the characters that mean more than themselves in a pattern.
const meta = `*?[]{}\`

// maxPattern is the longest pattern in bytes: PATH_MAX of Linux.
const maxPattern = 4096

// pattern returns what stands at a node, absolute; not: it begins with !.
func (s *draft) pattern(n *yaml.Node, what string) (pattern string, not, ok bool) {
	if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
		s.wrong(n, `put it in quotes: "`+n.Tag+`"`, "%s: a ! without quotes begins a tag of YAML", what)
		return "", false, false
	}
	text, ok := s.value(n, what)
	if !ok {
		return "", false, false
	}
	text, not = strings.CutPrefix(text, "!")
	first := strings.IndexAny(text, meta)
	switch {
	case text == "" || len(text) > maxPattern || !doublestar.ValidatePattern(text):
		s.wrong(n, `what works is **, *, ?, [a-z] and {a,b}, and \ before what is meant as it is`, "%s: %q is not a valid pattern", what, text)
		return "", not, false
	case first >= 0 && strings.Contains(text[first:]+"/", "/../"):
		s.wrong(n, "write .. before the first of * ? [ {", "%s: .. in %q goes up from what is not known", what, text)
		return "", not, false
	}
	all := first < 0 || strings.HasSuffix(text, "/")
	if !path.IsAbs(text) {
		text = Literally(s.directory(n)) + "/" + text
	}
	if text = path.Clean(text); all && first < 0 && !not {
		s.named = append(s.named, n)
	}
	if all {
		text = strings.TrimSuffix(text, "/") + "/**"
	}
	if text == "/**" || text == "/" {
		s.wrong(n, "name a directory of the project", "%s: that is every file there is", what)
		return "", not, false
	}
	return text, not, true
}

// Literally returns a pattern that a path alone matches.
func Literally(path string) string {
	var out strings.Builder
	for i := range len(path) {
		if strings.IndexByte(meta, path[i]) >= 0 {
			out.WriteByte('\\')
		}
		out.WriteByte(path[i])
	}
	return out.String()
}

// Covers reports whether a file is among Paths and not to be ignored.
func (w Watch) Covers(file string) bool { return Matches(w.Paths, file) && !w.Ignores(file) }

// Ignores reports whether a file is among Ignore.
func (w Watch) Ignores(file string) bool { return Matches(w.Ignore, file) }

// Matches reports whether a path is among patterns as those of Watch.
func Matches(patterns []string, file string) bool {
	for _, one := range patterns {
		if doublestar.MatchUnvalidated(one, file) {
			return true
		}
	}
	return false
}

// Roots are the files and directories that everything in Paths is, or lies
// below: where to look.
func (w Watch) Roots() []string {
	var out []string
	for _, one := range w.Paths {
		var root strings.Builder
		for _, segment := range strings.Split(one, "/")[1:] {
			name, ok := plain(segment)
			if !ok {
				break
			}
			root.WriteString("/" + name)
		}
		if at := root.String(); !slices.Contains(out, at) {
			out = append(out, at)
		}
	}
	return out
}

// plain returns the name that a segment of a pattern stands for, when it
// stands for one name alone. What is in braces may have slashes in it, so a
// segment with one is not plain either.
func plain(segment string) (string, bool) {
	var out strings.Builder
	for i := 0; i < len(segment); i++ {
		switch {
		case segment[i] == '\\' && i+1 < len(segment):
			i++
		case strings.IndexByte(meta, segment[i]) >= 0:
			return "", false
		}
		out.WriteByte(segment[i])
	}
	return out.String(), true
}
