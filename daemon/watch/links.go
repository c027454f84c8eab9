package watch

import (
	"os"
	"path/filepath"
	"strings"
)

// links knows where the content of symbolic links to files really comes from:
// a change of the target, or of any link on the way (Kubernetes swaps ..data),
// is a change of the link.
type links struct {
	watches *watches
	at      map[string]map[place]bool // canonical path -> links that depend on it
	of      map[place][]string        // the same the other way round
}

func newLinks(watches *watches) *links {
	return &links{watches: watches, at: make(map[string]map[place]bool), of: make(map[place][]string)}
}

// set looks anew where a link leads.
func (l *links) set(p place) {
	before := l.of[p]
	var now []string
	for _, point := range trace(p.node.join(p.name)) {
		// Links may lead anywhere; that nobody can watch there is no trouble.
		if _, err := l.watches.acquire(filepath.Dir(point), p.node.tree.filter.root.Poll); err != nil {
			continue
		}
		now = append(now, point)
		if l.at[point] == nil {
			l.at[point] = make(map[place]bool)
		}
		l.at[point][p] = true
	}
	l.drop(p, before, now)
	l.of[p] = now
}

func (l *links) forget(p place) {
	l.drop(p, l.of[p], nil)
	delete(l.of, p)
}

// drop lets go of points, except for those that are still needed.
func (l *links) drop(p place, points, except []string) {
	needed := make(map[string]bool, len(except))
	for _, point := range except {
		needed[point] = true
	}
	for _, point := range points {
		l.watches.release(filepath.Dir(point), false)
		if needed[point] {
			continue
		}
		delete(l.at[point], p)
		if len(l.at[point]) == 0 {
			delete(l.at, point)
		}
	}
}

// maxLinks on the way to a file are what Linux follows (path_resolution(7)).
const maxLinks = 40

// trace returns the canonical path of every link on the way to the file, and
// of the file, or of the first thing that is missing.
func trace(path string) (points []string) {
	at, rest := "/", strings.TrimPrefix(path, "/")
	for followed := 0; rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		switch name {
		case "", ".":
			continue
		case "..":
			at = filepath.Dir(at)
			continue
		}
		next := join(at, name)
		target, err := os.Readlink(next)
		if err == nil && followed < maxLinks {
			followed++
			points = append(points, next)
			if strings.HasPrefix(target, "/") {
				at = "/"
			}
			rest = target + "/" + rest
			continue
		}
		if _, err := os.Lstat(next); err != nil {
			return append(points, next)
		}
		at = next
	}
	return append(points, at)
}
