package process

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// elsewhere finds out where a service listens that is not where its probe
// asks: most likely it does not read $PORT. It is one instance's.
type elsewhere struct {
	in    *instance
	probe *runtime.Probe
	at    time.Time // of the last look
	said  error     // what it found; nil: nothing
}

// elsewhereEvery bounds what looking costs: all sockets of the machine, and
// all descriptors of the instance.
const elsewhereEvery = 2 * time.Second

// explain returns err, or more than that where the instance listens on
// another port. Nothing is looked at before Watch is told of err.
func (e *elsewhere) explain(err error, k *keeper) error {
	now := k.r.now()
	if !e.probe.UsesPort() || !errors.Is(err, syscall.ECONNREFUSED) || now.Sub(e.in.began) < unreadyAfter {
		return err
	}
	if e.at.IsZero() || now.Sub(e.at) >= elsewhereEvery {
		e.at, e.said = now, e.look(k.spec)
	}
	if e.said != nil {
		return e.said
	}
	return err
}

func (e *elsewhere) look(spec *runtime.Spec) error {
	var others []string
	for _, address := range listensOn(e.in.child.pid) {
		if number := strconv.Itoa(int(address.Port())); !slices.Contains(others, number) && !e.meant(spec, address) {
			others = append(others, number)
		}
	}
	if len(others) == 0 {
		return nil
	}
	variable := runtime.PortVariable(e.probe.Port)
	if spec.Ports[0].Name == e.probe.Port {
		variable = "PORT"
	}
	wanted := net.JoinHostPort("127.0.0.1", strconv.Itoa(e.in.ports[e.probe.Port]))
	return fmt.Errorf("nothing listens on %s ($%s); it listens on %s instead", wanted, variable, strings.Join(others, " and "))
}

// meant reports whether the instance is to listen on address.
func (e *elsewhere) meant(spec *runtime.Spec, address netip.AddrPort) bool {
	for _, port := range e.in.ports {
		if port == int(address.Port()) {
			return true
		}
	}
	return slices.ContainsFunc(spec.Sockets, func(s runtime.Socket) bool {
		given, err := socketAddress(s)
		return err == nil && given == address
	})
}
