package main

import (
	"cmp"
	"slices"

	"github.com/stead-dev/stead/ipc"
)

// levelFilter lets lines of a level or worse pass. A line that shows no level
// has that of the line before it when it is indented, as stack traces are;
// else it is info.
type levelFilter struct {
	least ipc.Level
	last  map[writerKey]ipc.Level
}

// writerKey is who writes a line.
type writerKey struct{ project, service, instance, stream string }

func (f *levelFilter) pass(line ipc.Line, text []byte, level ipc.Level) bool {
	key := writerKey{line.Project, line.Service, line.Instance, line.Stream}
	switch {
	case level != ipc.LevelUnknown:
	case len(text) > 0 && (text[0] == ' ' || text[0] == '\t'):
		level = cmp.Or(f.last[key], ipc.LevelInfo)
	default:
		level = ipc.LevelInfo
	}
	if f.last == nil {
		f.last = map[writerKey]ipc.Level{}
	}
	f.last[key] = level
	return level >= f.least
}

// levelWords are the arguments of --level.
var levelWords = []string{"trace", "debug", "info", "warn", "error", "fatal"}

// lastOnes keeps the last lines of each service until all are known.
type lastOnes struct {
	want int
	all  map[[2]string][]keptLine // by project and service
	seen int
}

type keptLine struct {
	at   int // among all lines
	text string
}

func (l *lastOnes) add(line ipc.Line, text string) {
	if l.all == nil {
		l.all = map[[2]string][]keptLine{}
	}
	key := [2]string{line.Project, line.Service}
	list := append(l.all[key], keptLine{l.seen, text})
	l.all[key] = list[max(0, len(list)-l.want):]
	l.seen++
}

// lines returns what was kept, in the order it came.
func (l *lastOnes) lines() []string {
	var all []keptLine
	for _, list := range l.all {
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b keptLine) int { return cmp.Compare(a.at, b.at) })
	out := make([]string, len(all))
	for i, one := range all {
		out[i] = one.text
	}
	return out
}
