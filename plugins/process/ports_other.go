//go:build !linux

package process

import "net/netip"

// firstEphemeral is where IANA's range begins, the default of macOS and the BSDs.
func firstEphemeral() int { return 49152 }

// holders cannot be found without root or another program here.
func holders(func(netip.AddrPort) bool) map[netip.AddrPort]string { return nil }

// listensOn cannot be found out here either.
func listensOn(int) []netip.AddrPort { return nil }
