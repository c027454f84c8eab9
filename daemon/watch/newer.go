package watch

import "time"

// Content is a file with the time of its content (mtime).
type Content struct {
	Path string
	Time time.Time
}

// Newer returns what counts in a project and was written after since, at most
// 100,000: what was saved before Set began to watch. It believes mtime; a file
// that was moved here with an older one is not found.
func (w *Watcher) Newer(project string, since time.Time) []Content {
	var newer []Content
	_ = w.ask(func(o *owner) {
		for _, t := range o.project(project).trees {
			if t.top == nil {
				continue
			}
			t.top.walk(func(n *node) {
				for i := range n.files {
					if e := &n.files[i]; e.stat.mtime > since.UnixNano() && len(newer) < maxChanges {
						newer = append(newer, Content{n.join(e.name), time.Unix(0, e.stat.mtime)})
					}
				}
			})
		}
	})
	return newer
}
