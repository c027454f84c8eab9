package watch

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// kinds are file systems that other machines, or processes, write to without
// the kernel knowing. The numbers are those of statfs(2).
var kinds = map[uint32]string{
	unix.NFS_SUPER_MAGIC:  "NFS",
	unix.SMB_SUPER_MAGIC:  "SMB",
	unix.CIFS_SUPER_MAGIC: "SMB",
	unix.SMB2_SUPER_MAGIC: "SMB",
	unix.V9FS_MAGIC:       "9p (a drive of Windows under WSL2, or of a virtual machine's host)",
	unix.FUSE_SUPER_MAGIC: "FUSE",
	unix.CEPH_SUPER_MAGIC: "Ceph",
	unix.AFS_SUPER_MAGIC:  "AFS",
	unix.CODA_SUPER_MAGIC: "Coda",
	0x786f4256:            "a folder shared by VirtualBox",
	0xbacbacbc:            "a folder shared by VMware",
}

func silent(dir string) string {
	var s unix.Statfs_t
	if unix.Statfs(dir, &s) != nil {
		return ""
	}
	return kinds[uint32(s.Type)]
}

// threadTime is what the calling thread has used of a core: waiting, for a
// server or for a core, costs nobody anything.
func threadTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_THREAD, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// A watch is per directory, and the kernel counts.
func watchLimit() int      { return 0 }
func watchCost(string) int { return 1 }

func watchHint(used int) string {
	want := max(524288, 4*used)
	return fmt.Sprintf("raise the limit: sudo sysctl fs.inotify.max_user_watches=%d, and put that line into /etc/sysctl.d/60-stead.conf so that it stays; or ignore directories that hold no sources", want)
}

func instanceHint() string {
	return "raise the limit: sudo sysctl fs.inotify.max_user_instances=512, and put that line into /etc/sysctl.d/60-stead.conf so that it stays; then restart the daemon"
}

// seesWriters says that beingWritten can.
const seesWriters = true

// beingWritten reports whether a regular file is open for writing: a lease for
// reading is refused then (F_SETLEASE in fcntl(2)). It costs some microseconds,
// and needs the file to be ours; where no lease is to be had, nothing is known.
// Who opens the file while the lease is held waits until it is given back.
func beingWritten(path string) bool {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	_, err = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_RDLCK)
	if err == nil {
		_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETLEASE, unix.F_UNLCK) // closing would do the same
	}
	return err == unix.EAGAIN
}

// writer looks through the open files of all processes that may be looked at.
// It takes some milliseconds, so it is asked about suspects alone.
func writer(path string) string {
	target, err := os.Stat(path)
	if err != nil {
		return ""
	}
	fds, _ := filepath.Glob("/proc/[0-9]*/fd")
	for _, dir := range fds {
		pid := filepath.Base(filepath.Dir(dir))
		if pid != strconv.Itoa(os.Getpid()) && writes(dir, target) {
			name, _ := os.ReadFile(filepath.Join("/proc", pid, "comm"))
			return fmt.Sprintf("%s (pid %s)", strings.TrimSpace(string(name)), pid)
		}
	}
	return ""
}

// writes reports whether one of the descriptors is open for writing the file.
func writes(dir string, target os.FileInfo) bool {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := os.Stat(filepath.Join(dir, e.Name()))
		if err == nil && os.SameFile(info, target) && openForWriting(filepath.Join(filepath.Dir(dir), "fdinfo", e.Name())) {
			return true
		}
	}
	return false
}

// openForWriting reads the line "flags:", octal, of proc(5).
func openForWriting(fdinfo string) bool {
	text, _ := os.ReadFile(fdinfo)
	_, rest, _ := strings.Cut(string(text), "flags:")
	line, _, _ := strings.Cut(rest, "\n")
	flags, err := strconv.ParseUint(strings.TrimSpace(line), 8, 64)
	return err == nil && flags&unix.O_ACCMODE != unix.O_RDONLY
}
