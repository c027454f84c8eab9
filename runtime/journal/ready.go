package journal

import (
	"slices"

	"github.com/stead-dev/stead/runtime"
)

// Endpoints returns where those instances of a generation that are ready have
// a port.
func (j *Journal) Endpoints(id runtime.ID, port string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var list []string
	if s := j.stories[id]; s != nil {
		for _, l := range s.live {
			if address := l.started.Started.Endpoints[port]; address != "" && l.isReady() {
				list = append(list, address)
			}
		}
	}
	return list
}

// AnyReady reports whether an instance of the generation is.
func (j *Journal) AnyReady(id runtime.ID) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	s := j.stories[id]
	return s != nil && slices.ContainsFunc(s.live, liveEvents.isReady)
}

func (l liveEvents) isReady() bool { return l.ready.Kind != 0 && l.ready.Ready.Ready }
