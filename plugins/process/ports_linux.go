package process

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// firstEphemeral is where net.ipv4.ip_local_port_range begins (ip(7)).
func firstEphemeral() int {
	var low int
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		if _, err := fmt.Sscan(string(text), &low); err == nil {
			return low
		}
	}
	return 32768
}

// holders says who listens at the addresses that match: "pid 123 (postgres)".
// What cannot be seen, as with processes of other users, is left out. It looks
// at all that any process has open, which takes long: once for all addresses.
func holders(matches func(netip.AddrPort) bool) map[netip.AddrPort]string {
	sockets, found := listening(matches), map[netip.AddrPort]string{}
	if len(sockets) == 0 {
		return nil
	}
	wanted := map[netip.AddrPort]bool{} // several sockets may share one
	for _, address := range sockets {
		wanted[address] = true
	}
	_ = eachProcess(func(pid int) {
		if len(found) == len(wanted) {
			return
		}
		for _, address := range held(pid, sockets) {
			if found[address] == "" {
				found[address] = fmt.Sprintf("pid %d (%s)", pid, programName(pid))
			}
		}
	})
	return found
}

func programName(pid int) string {
	name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	return strings.TrimSpace(string(name))
}

// held returns where the process listens, by the sockets that listening found.
func held(pid int, sockets map[string]netip.AddrPort) []netip.AddrPort {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []netip.AddrPort
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			if address, ok := sockets[to]; ok {
				all = append(all, address)
			}
		}
	}
	return all
}

// listening returns the sockets that listen at an address that matches, by the
// names that /proc/PID/fd has for them (proc_pid_net(5)).
func listening(matches func(netip.AddrPort) bool) map[string]netip.AddrPort {
	const state = "0A" // TCP_LISTEN, include/net/tcp_states.h
	sockets := map[string]netip.AddrPort{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != state {
				continue
			}
			if address, ok := tableAddress(fields[1]); ok && matches(address) {
				sockets["socket:["+fields[9]+"]"] = address
			}
		}
	}
	return sockets
}

// tableAddress reads "0100007F:2329": words of the machine's own byte order,
// and the port in the reader's.
func tableAddress(text string) (netip.AddrPort, bool) {
	words, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(words)
	number, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(raw)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(raw); i += 4 {
		binary.NativeEndian.PutUint32(raw[i:], binary.BigEndian.Uint32(raw[i:]))
	}
	address, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(address.Unmap(), uint16(number)), ok
}

// listensOn returns where the process, or one below it, listens.
func listensOn(pid int) []netip.AddrPort {
	sockets := listening(func(netip.AddrPort) bool { return true })
	var all []netip.AddrPort
	eachBelow(pid, func(pid int) bool {
		all = append(all, held(pid, sockets)...)
		return true
	})
	return all
}
