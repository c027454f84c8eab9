package logs

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// origins are the services, other than its own, whose output a log takes: a
// build writes into the log of what it builds. Index entries refer to them by
// number; the file has one name per line, and names are only ever added.
type origins struct {
	dir   string
	names []string
}

const originsFile = "origins"

func loadOrigins(dir string) origins {
	o := origins{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, originsFile))
	if err != nil {
		return o // none yet; or unreadable, then the log's own name has to do
	}
	lines := strings.Split(string(text), "\n")
	o.names = lines[:len(lines)-1] // each line has its end
	return o
}

// number returns the reference to a service, a new one if need be. When it
// cannot be kept it is 0, the log's own service.
func (o *origins) number(service string) int {
	if i := slices.Index(o.names, service); i >= 0 {
		return i + 1
	}
	if len(o.names) == math.MaxUint16 || strings.Contains(service, "\n") {
		return 0
	}
	names := append(slices.Clip(o.names), service)
	text := strings.Join(names, "\n") + "\n"
	path := filepath.Join(o.dir, originsFile)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return 0
	}
	if err := os.Rename(path+".new", path); err != nil {
		return 0
	}
	o.names = names
	return len(names)
}

// service returns what number refers to, and own for 0 or what was lost.
func (o *origins) service(number int, own string) string {
	if number == 0 || number > len(o.names) {
		return own
	}
	return o.names[number-1]
}
