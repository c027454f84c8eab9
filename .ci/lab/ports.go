package main

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePorts returns ports that nobody listens on, below those that the system
// gives to connections (ip_local_port_range): another lab may run beside.
func freePorts(n int) ([]int, error) {
	const first, last = 20000, 30000
	var ports []int
	at := first + rand.IntN(last-first)
	for tries := 0; len(ports) < n; tries++ {
		if tries > last-first {
			return nil, errors.New("no port is free between 20000 and 30000")
		}
		if at++; at >= last {
			at = first
		}
		if free(at) {
			ports = append(ports, at)
		}
	}
	return ports, nil
}

// free reports whether nobody listens on a port.
func free(port int) bool {
	l, err := net.Listen("tcp", local(port))
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

func local(port int) string { return "127.0.0.1:" + strconv.Itoa(port) }
