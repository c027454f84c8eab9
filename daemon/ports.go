package daemon

import (
	"fmt"
	"hash/fnv"
	"maps"
	"net"
	"strconv"
	"sync"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// The range that `auto` ports are chosen from: registered for nothing common,
// and below the ports that Linux (32768) and macOS (49152) give to outgoing
// connections, so that none of those can be in the way.
const (
	autoPortFirst = 20000
	autoPortCount = 5000 // those above are the process runtime's private ones
)

// ports remembers which port was chosen for each `auto`.
type ports struct {
	mu     sync.Mutex
	chosen map[string]int
	fresh  map[string]int // chosen, and not committed yet
}

func newPorts(remembered map[string]int) *ports {
	p := &ports{chosen: map[string]int{}, fresh: map[string]int{}}
	maps.Copy(p.chosen, remembered)
	return p
}

// auto returns the port of an `auto`: the one chosen before, else a free one.
// Where the search begins is a hash of the name, so that a port is likely to
// be the same on every machine of a team.
func (p *ports) auto(project, service, port string) (int, error) {
	key := project + "/" + service + "/" + port
	p.mu.Lock()
	defer p.mu.Unlock()
	if number, ok := p.chosen[key]; ok {
		return number, nil
	}
	taken := map[int]bool{}
	for _, number := range p.chosen {
		taken[number] = true
	}
	h := fnv.New32a()
	_, _ = h.Write([]byte(key))
	for i := range autoPortCount {
		number := autoPortFirst + int((uint64(h.Sum32())+uint64(i))%autoPortCount)
		if !taken[number] && free(number) {
			p.chosen[key], p.fresh[key] = number, number
			return number, nil
		}
	}
	return 0, fmt.Errorf("no port from %d to %d is free: %w", autoPortFirst, autoPortFirst+autoPortCount-1, runtime.Unavailable)
}

// autoPort is ports.auto, but for an orphan it is the port that it has: after
// the state was lost, only the service itself remembers.
func (d *Daemon) autoPort(project, service, port string) (int, error) {
	s := d.Present().State.Service(d.name(project, service))
	if g, ok := s.Current(); ok && s.Orphan && d.gateways == nil { // behind a gateway it has private ones
		for _, i := range g.Instances {
			_, number, err := net.SplitHostPort(i.Endpoints[port])
			if n, bad := strconv.Atoi(number); err == nil && bad == nil && i.Exit == "" {
				d.ports.take(project, service, port, n)
			}
		}
	}
	return d.ports.auto(project, service, port)
}

// take notes that a port was chosen before.
func (p *ports) take(project, service, port string, number int) {
	key := project + "/" + service + "/" + port
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.chosen[key]; !known {
		p.chosen[key], p.fresh[key] = number, number
	}
}

// free reports whether nobody listens on a port of the loopback.
func free(number int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(number)))
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}

// uncommitted returns the ports that the next commit must contain.
func (p *ports) uncommitted() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.fresh)
}

// committed says that a commit contained these ports.
func (p *ports) committed(numbers map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range numbers {
		delete(p.fresh, key)
	}
}

// taken returns what says who has a fixed port that a service of a project
// wants: another project's service that is wanted up, or still runs. A service
// that runs on another number since that one was taken keeps it until it is
// stopped: it is not restarted because somebody else went.
func (d *Daemon) taken() func(project, service, port string, number int) string {
	p := d.Present()
	holders := map[int][]supervisor.Name{}
	for name, s := range p.State.Services {
		if !s.Want.Up && quiet(*s) {
			continue
		}
		service := p.Projects[name.Project].Services[name.Service]
		for _, port := range service.Spec.Ports { // 0: a private one
			holders[port.Number] = append(holders[port.Number], name)
		}
		for _, port := range service.Published {
			holders[port.Number] = append(holders[port.Number], name)
		}
	}
	return func(project, service, port string, number int) string {
		for _, name := range holders[number] {
			if name.Project != project {
				other := p.Projects[name.Project]
				return fmt.Sprintf("%d is that of %s/%s in %s", number, other.Shown, name.Service, other.Directory)
			}
		}
		runs := !quiet(p.State.Service(d.name(project, service)))
		if runs && p.Projects[project].Services[service].Taken[port] == number {
			return fmt.Sprintf("%d was taken when %s started, and it keeps what it has until it is stopped", number, service)
		}
		return ""
	}
}
