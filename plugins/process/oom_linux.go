package process

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// oomWatch knows whom the kernel's out-of-memory killer ended, where it may
// read the kernel's log (as root, or with kernel.dmesg_restrict=0). Elsewhere
// nobody is said to have been: a guess would send people the wrong way.
type oomWatch struct {
	mu   sync.Mutex
	fd   int // /dev/kmsg, -1: may not be read
	pids map[int]bool
}

func newOOMWatch() *oomWatch {
	fd, err := unix.Open("/dev/kmsg", unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return &oomWatch{fd: -1}
	}
	if _, err := unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		unix.Close(fd)
		return &oomWatch{fd: -1}
	}
	return &oomWatch{fd: fd, pids: map[int]bool{}}
}

// killed reports whether pid, which ended with status, was ended for want of
// memory. Each record of /dev/kmsg is read once, and comes whole.
func (o *oomWatch) killed(pid int, status syscall.WaitStatus) bool {
	if !status.Signaled() || status.Signal() != syscall.SIGKILL {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fd < 0 {
		return false
	}
	record := make([]byte, 8<<10)
	for {
		n, err := unix.Read(o.fd, record)
		if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.EINTR) {
			continue // older records were overwritten
		}
		if err != nil || n == 0 {
			break
		}
		var victim int
		if at := bytes.Index(record[:n], []byte("Killed process ")); at >= 0 && bytes.Contains(bytes.ToLower(record[:at]), []byte("memory")) {
			if _, err := fmt.Sscanf(string(record[at:n]), "Killed process %d", &victim); err == nil {
				o.pids[victim] = true
			}
		}
	}
	was := o.pids[pid]
	delete(o.pids, pid)
	return was
}

func (o *oomWatch) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fd >= 0 {
		unix.Close(o.fd)
		o.fd = -1
	}
}
