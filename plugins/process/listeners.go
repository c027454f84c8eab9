package process

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// listeners are the sockets that listen for services and for the gateway. They
// are bound once; whoever accepts has a duplicate.
type listeners struct {
	private *ports                                                            // that are not to be listened on for anybody else
	look    func(matches func(netip.AddrPort) bool) map[netip.AddrPort]string // holders, but for tests

	mu    sync.Mutex
	bound map[netip.AddrPort]*boundSocket

	// Of the set that was declared last.
	named  map[string]*boundSocket
	absent map[netip.AddrPort]bool // what this machine does not have
}

// boundSocket is one of them. It is kept as a bare descriptor: the poller
// would be woken by each connection, which is not for this process to accept.
type boundSocket struct {
	address netip.AddrPort
	fd      int
	name    string              // in the declared set; "" when it is not in it
	users   map[runtime.ID]bool // generations that have it, and have not ended
	lent    bool                // had from a lender, and nothing has been declared since
}

func newListeners(private *ports) *listeners {
	return &listeners{private: private, look: holders, bound: map[netip.AddrPort]*boundSocket{}, named: map[string]*boundSocket{}}
}

// declare makes sockets the set that is wanted.
func (l *listeners) declare(sockets []runtime.Socket) []runtime.SocketStatus {
	statuses, held := l.bindAll(sockets)
	l.blame(statuses, held)
	return statuses
}

// bindAll is declare, but for who has those addresses that somebody else
// holds: those it returns, by their place in sockets.
func (l *listeners) bindAll(sockets []runtime.Socket) (statuses []runtime.SocketStatus, held map[int]netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.private.reserve(numbers(sockets)) // first: what is free now may be given out before it is bound
	wanted, refused := l.sort(sockets)
	for _, one := range l.bound {
		one.name, one.lent = wanted[one.address], false
	}
	l.closeUnused() // first: one of the new ones may need its place
	l.named, l.absent = map[string]*boundSocket{}, map[netip.AddrPort]bool{}
	statuses, held = make([]runtime.SocketStatus, len(sockets)), map[int]netip.AddrPort{}
	for i, s := range sockets {
		statuses[i] = runtime.SocketStatus{Socket: s}
		if s.Reserve && refused[i] == nil {
			continue
		}
		one, err := l.open(s, refused[i])
		if err != nil {
			statuses[i].Error, statuses[i].Hint, statuses[i].Absent = err.Error(), runtime.Hint(err), isNoRoute(err)
			address, _ := socketAddress(s)
			if statuses[i].Absent {
				l.absent[address] = true
			}
			if errors.Is(err, errHeld) {
				held[i] = address
			}
			continue
		}
		l.named[s.Name] = one
	}
	return statuses, held
}

// blame adds to statuses who has the addresses that were held. mu is not held:
// looking takes long.
func (l *listeners) blame(statuses []runtime.SocketStatus, held map[int]netip.AddrPort) {
	if len(held) == 0 {
		return
	}
	ports := map[uint16]bool{}
	for _, address := range held {
		ports[address.Port()] = true
	}
	found := l.look(func(other netip.AddrPort) bool { return ports[other.Port()] })
	byPort := map[uint16][]netip.AddrPort{}
	for other := range found {
		byPort[other.Port()] = append(byPort[other.Port()], other)
	}
	for i, address := range held {
		for _, other := range byPort[address.Port()] {
			if conflicts(address, other) {
				statuses[i].Error += " by " + found[other]
				break
			}
		}
	}
}

// numbers are those of all addresses.
func numbers(sockets []runtime.Socket) map[int]bool {
	all := make(map[int]bool, len(sockets))
	for _, s := range sockets {
		if address, err := socketAddress(s); err == nil {
			all[int(address.Port())] = true
		}
	}
	return all
}

// sort returns the addresses of sockets with their names, and what is wrong
// with those that cannot be had.
func (l *listeners) sort(sockets []runtime.Socket) (wanted map[netip.AddrPort]string, refused []error) {
	wanted, refused = map[netip.AddrPort]string{}, make([]error, len(sockets))
	names := map[string]bool{}
	for i, s := range sockets {
		address, err := socketAddress(s)
		switch other := wanted[address]; {
		case err != nil || s.Reserve:
		case other != "" && other != s.Name:
			err = fmt.Errorf("%s is wanted twice: for %s and for %s", address, other, s.Name)
		case other == "" && names[s.Name]:
			err = fmt.Errorf("two sockets have the name %s", s.Name)
		default:
			wanted[address], names[s.Name] = s.Name, true
		}
		refused[i] = err
	}
	return wanted, refused
}

func (l *listeners) open(s runtime.Socket, refused error) (*boundSocket, error) {
	if refused != nil {
		return nil, refused
	}
	address, err := socketAddress(s)
	if err != nil {
		return nil, err // cannot happen: sort has read it
	}
	if one := l.bound[address]; one != nil {
		return one, nil
	}
	if owner := l.private.owner(int(address.Port())); owner != "" { // also where it does not listen yet
		err := fmt.Errorf("%s is already taken by stead itself: %s", address, privately(owner))
		return nil, runtime.WithHint(err, "restart that service, or choose another port")
	}
	fd, err := bind(address)
	if err != nil {
		return nil, l.explain(address, err)
	}
	one := &boundSocket{address: address, fd: fd, name: s.Name, users: map[runtime.ID]bool{}}
	l.bound[address] = one
	return one, nil
}

// hold gives the generation a right to sockets until it lets go. What is not
// bound is Unavailable, unless the machine does not have its address and
// another one of that name is there: without IPv6 nobody misses ::1.
func (l *listeners) hold(id runtime.ID, sockets []runtime.Socket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []*boundSocket
	names := map[string]bool{}
	for _, s := range sockets {
		if address, err := socketAddress(s); err == nil && l.bound[address] != nil {
			names[s.Name] = true
		}
	}
	for _, s := range sockets {
		address, err := socketAddress(s)
		if err != nil {
			return err // cannot happen: validate has read it
		}
		one := l.bound[address]
		if one == nil && l.absent[address] && names[s.Name] {
			continue
		}
		if one == nil {
			err := fmt.Errorf("nothing listens on %s for its socket %s: %w", address, s.Name, runtime.Unavailable)
			return runtime.WithHint(err, "declare it by Listen first, and see what that says of it")
		}
		all = append(all, one)
	}
	for _, one := range all {
		one.users[id] = true
	}
	return nil
}

// let ends what hold has begun.
func (l *listeners) let(id runtime.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.bound {
		delete(one.users, id)
	}
	l.closeUnused()
}

// of returns those of sockets that the caller's generation holds, and their
// descriptors.
func (l *listeners) of(sockets []runtime.Socket) (given []runtime.Socket, fds []uintptr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range sockets {
		if address, err := socketAddress(s); err == nil && l.bound[address] != nil {
			given, fds = append(given, s), append(fds, uintptr(l.bound[address].fd))
		}
	}
	return given, fds
}

// Names implements sockets.Source.
func (l *listeners) Names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.named))
}

// Duplicate implements sockets.Source.
func (l *listeners) Duplicate(name string) (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	one := l.named[name]
	if one == nil {
		return 0, false
	}
	fd, err := unix.FcntlInt(uintptr(one.fd), unix.F_DUPFD_CLOEXEC, 3)
	return fd, err == nil
}

// closeUnused closes what nobody declares or holds. The caller holds mu.
func (l *listeners) closeUnused() {
	for address, one := range l.bound {
		if one.name == "" && len(one.users) == 0 && !one.lent {
			unix.Close(one.fd)
			delete(l.bound, address)
		}
	}
}

func (l *listeners) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, one := range l.bound {
		one.name, one.users, one.lent = "", nil, false
	}
	l.named = nil
	l.closeUnused()
}

// errHeld is why an address cannot be had that somebody else listens on.
var errHeld = errors.New("is already taken")

// explain says why address cannot be had. The caller holds mu.
func (l *listeners) explain(address netip.AddrPort, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		for _, one := range l.bound {
			if conflicts(address, one.address) {
				return fmt.Errorf("%s is already taken by stead itself, for %s", address, cmp.Or(one.name, "a service that runs with "+one.address.String()))
			}
		}
		return runtime.WithHint(fmt.Errorf("%s %w", address, errHeld), "end that process, or choose another port")
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		err = fmt.Errorf("permission denied: ports below 1024 are for root, and port %d is one", address.Port())
		return runtime.WithHint(err, lowPortHint)
	case isNoRoute(err) && address.Addr().Is6():
		return fmt.Errorf("this machine has no such IPv6 address as %s: %w", address.Addr(), syscallError(err))
	case isNoRoute(err):
		return fmt.Errorf("this machine has no address %s: %w", address.Addr(), syscallError(err))
	}
	return fmt.Errorf("listen on %s: %w", address, syscallError(err))
}

// conflicts reports whether two sockets cannot listen beside each other.
func conflicts(a, b netip.AddrPort) bool {
	return a.Port() == b.Port() && (a.Addr() == b.Addr() || a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// syscallError is the innermost error, without the address that net repeats.
func syscallError(err error) error {
	var number syscall.Errno
	if errors.As(err, &number) {
		return number
	}
	return err
}

// socketAddress reads what tells sockets apart.
func socketAddress(s runtime.Socket) (netip.AddrPort, error) {
	address, err := netip.ParseAddrPort(s.Address)
	switch {
	case s.Name == "":
		return netip.AddrPort{}, fmt.Errorf("the socket on %s has no name: %w", s.Address, runtime.Invalid)
	case err != nil || address.Port() == 0:
		err := fmt.Errorf("socket %s: %q is not an IP address and a port: %w", s.Name, s.Address, runtime.Invalid)
		return netip.AddrPort{}, runtime.WithHint(err, "write 127.0.0.1:9001 or [::1]:9001")
	}
	return netip.AddrPortFrom(address.Addr().Unmap(), address.Port()), nil
}

// bind makes a socket that listens, with net's options (SO_REUSEADDR, and
// IPV6_V6ONLY, so that both families have one each) and net's backlog. It
// blocks, as systemd's do.
func bind(address netip.AddrPort) (int, error) {
	network := "tcp4"
	if address.Addr().Is6() {
		network = "tcp6"
	}
	l, err := net.ListenTCP(network, net.TCPAddrFromAddrPort(address))
	if err != nil {
		return -1, err
	}
	defer l.Close() // the duplicate goes on, out of the poller
	raw, err := l.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	ctl := raw.Control(func(own uintptr) { fd, err = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 3) })
	if err = errors.Join(ctl, err); err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// validateSockets refuses what cannot be told to an instance.
func validateSockets(spec *runtime.Spec, invalid func(hint, format string, args ...any) error) error {
	var seen []netip.AddrPort
	for _, s := range spec.Sockets {
		address, err := socketAddress(s)
		switch {
		case err != nil:
			return err
		case strings.ContainsFunc(s.Name, func(r rune) bool { return r == ':' || r <= ' ' || r == 0x7f }):
			return invalid("LISTEN_FDNAMES separates names by colons", "socket name %q has a colon or a blank in it", s.Name)
		case slices.Contains(seen, address):
			return invalid("name each address once", "two of its sockets are on %s", address)
		}
		seen = append(seen, address)
	}
	return nil
}
