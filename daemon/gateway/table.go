package gateway

import (
	"fmt"
	"net"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// State says what happens to a service's callers.
type State string

// The states of a service.
const (
	Serving State = "serving" // forwarded to the endpoints of Generation
	Held    State = "held"    // parked: something that can serve is on its way, or is to be woken
	Down    State = "down"    // answered 503 at once, with Reason
)

// Protocol is what a listener speaks.
type Protocol string

// The protocols of a listener. HTTP is HTTP/1.1 and HTTP/2 with prior
// knowledge (h2c), so also gRPC, WebSocket and server-sent events; TCP is any
// stream of bytes.
const (
	HTTP Protocol = "http"
	TCP  Protocol = "tcp"
)

// DefaultPark is how long a caller waits where Service.Park is zero.
const DefaultPark = 30 * time.Second

// Service is one entry of the route table. It is a value: whoever has handed
// one over does not change its slices and maps any more.
type Service struct {
	ID        string     `json:"id"` // "project/service"
	Listeners []Listener `json:"listeners,omitempty"`
	State     State      `json:"state"`
	// Reason is told to callers who are not served: what failed, in words. It
	// may have several lines, a build error for one.
	Reason string `json:"reason,omitempty"`
	// Generation is the one that serves, Endpoints where its ports are reached:
	// by the name of the port, "host:port" of each replica. While State is Held
	// they are those of the generation that is waited for, as far as it has
	// been started: a gateway that is left alone finds it there.
	Generation uint64              `json:"generation,omitempty"`
	Endpoints  map[string][]string `json:"endpoints,omitempty"`
	// Draining are older generations that may have requests in flight. Each is
	// reported Drained when none is left. One that is neither routed nor named
	// here is cut after DefaultDrain.
	Draining []Draining `json:"draining,omitempty"`
	// Park bounds how long a caller waits; zero is DefaultPark.
	Park time.Duration `json:"park,omitempty"`
	// Use asks for reports of when the service was last used.
	Use bool `json:"use,omitempty"`
}

// Draining is a generation that gets no new requests.
type Draining struct {
	Generation uint64    `json:"generation"`
	Deadline   time.Time `json:"deadline"` // what is still in flight then is cut; zero: never
}

// DefaultDrain is given to a generation that has left the table while requests
// were in flight.
const DefaultDrain = 5 * time.Second

// Listener is a published port.
type Listener struct {
	Name      string   `json:"name"`      // of its sockets, in the runtime: "shop/web/http"
	Addresses []string `json:"addresses"` // "127.0.0.1:9001", "[::1]:9001": a socket each
	Port      string   `json:"port"`      // of the service, a key of Endpoints: "http"
	Protocol  Protocol `json:"protocol"`
}

// Change is a difference between two tables. Set replaces whole entries or
// adds them; Remove names entries (their listeners are closed, callers that
// wait are answered 503, what is in flight may end).
type Change struct {
	Set    []Service `json:"set,omitempty"`
	Remove []string  `json:"remove,omitempty"`
}

// validate finds what cannot be meant; its errors are runtime.Invalid.
func (c *Change) validate() error {
	for i := range c.Set {
		if err := c.Set[i].validate(); err != nil {
			return fmt.Errorf("route of %q: %w: %w", c.Set[i].ID, err, runtime.Invalid)
		}
	}
	return nil
}

func (s *Service) validate() error {
	switch {
	case s.ID == "":
		return fmt.Errorf("it has no id")
	case s.State != Serving && s.State != Held && s.State != Down:
		return fmt.Errorf("state %q is none of serving, held, down", s.State)
	}
	for _, l := range s.Listeners {
		if l.Protocol != HTTP && l.Protocol != TCP {
			return fmt.Errorf("listener %s: protocol %q is none of http, tcp", l.Name, l.Protocol)
		}
	}
	for port, replicas := range s.Endpoints {
		for _, address := range replicas {
			if _, _, err := net.SplitHostPort(address); err != nil {
				return fmt.Errorf("endpoint of port %s: %w", port, err)
			}
		}
	}
	return nil
}

func (s *Service) park() time.Duration {
	if s.Park > 0 {
		return s.Park
	}
	return DefaultPark
}
