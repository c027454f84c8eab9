package process

import (
	"bufio"
	"fmt"
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

// holder says who listens on port: "pid 123 (postgres)", or "" when that
// cannot be seen, as with processes of other users.
func holder(port int) string {
	socket := listener(port)
	if socket == "" {
		return ""
	}
	found := ""
	_ = eachProcess(func(pid int) {
		if found != "" {
			return
		}
		dir := fmt.Sprintf("/proc/%d/fd", pid)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return
		}
		for _, e := range entries {
			if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && to == socket {
				name, _ := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
				found = fmt.Sprintf("pid %d (%s)", pid, strings.TrimSpace(string(name)))
				return
			}
		}
	})
	return found
}

// listener returns the socket that listens on port as /proc/PID/fd shows it.
func listener(port int) string {
	const listening = "0A" // TCP_LISTEN, include/net/tcp_states.h
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		defer f.Close()
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != listening {
				continue
			}
			_, hex, _ := strings.Cut(fields[1], ":")
			if n, err := strconv.ParseUint(hex, 16, 16); err == nil && int(n) == port {
				return "socket:[" + fields[9] + "]"
			}
		}
	}
	return ""
}
