package runtime

// Socket is a TCP socket that listens, and belongs to the runtime: it is bound
// once, and stays the very same while generations come and go, so that no
// connection is ever refused for a swap.
//
// The address is what tells sockets apart: an IP address and a port, as in
// "127.0.0.1:9001" and "[::1]:9001". To be reached by both families takes two
// of them. The name is for whoever is handed the socket. In the set of Listen
// no two sockets have the same one, since runtime/sockets fetches by it
// ("shop/web/http", "shop/web/http/6"); in Spec.Sockets it is what the service
// reads in LISTEN_FDNAMES, where both families may well be called "http".
//
// With Reserve nothing is bound, and the name is of no account: a service will
// listen there by itself, and the runtime gives the number to nobody as a
// private port. It takes CapabilityReserve: without it a runtime would bind it.
type Socket struct {
	Name    string
	Address string
	Reserve bool `json:",omitempty"` // the hash of a Spec stays what it was
}

// SocketStatus is what became of one Socket of a Listen. Without an Error it
// listens, or is reserved, whoever listens there.
type SocketStatus struct {
	Socket Socket
	Error  string // why it does not listen, in words for the user
	Hint   string // what to do about that
	Absent bool   // this machine does not have the address: there is no IPv6, so nobody misses ::1
}

// Inspection is what a runtime sees of one live instance.
type Inspection struct {
	Instance InstanceID

	// Halted says why the instance stands still: "traced by dlv (pid 41)",
	// "stopped by SIGSTOP". Empty: it runs, as far as the runtime can see.
	// A runtime kills no halted instance by its own timers: ReadyTimeout
	// begins anew when it goes on, and failures of probes do not count.
	Halted string
}
