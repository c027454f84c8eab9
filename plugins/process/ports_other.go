//go:build !linux

package process

import "net/netip"

// firstEphemeral is where IANA's range begins, the default of macOS and the BSDs.
func firstEphemeral() int { return 49152 }

// holder cannot be found without root or another program here.
func holder(func(netip.AddrPort) bool) string { return "" }

// listensOn cannot be found out here either.
func listensOn(int) []netip.AddrPort { return nil }
