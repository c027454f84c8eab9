package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// alone runs the calling test once more in a mount namespace of its own, so
// that what it mounts is seen by nobody else and goes away with it. It returns
// true in there.
func alone(t *testing.T) bool {
	t.Helper()
	if os.Getenv("STEAD_TEST_ALONE") == t.Name() {
		return true
	}
	if os.Geteuid() != 0 {
		t.Skip("needs: root, to mount")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "1m")
	cmd.Env = append(os.Environ(), "STEAD_TEST_ALONE="+t.Name(), "STEAD_TEST_BIN="+bin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && cmd.ProcessState == nil:
		t.Skipf("needs: root, to mount: %v", err)
	case err != nil:
		t.Fatalf("%v\n%s", err, out)
	case bytes.Contains(out, []byte("--- SKIP")):
		t.Skipf("%s", out)
	}
	t.Logf("%s", out)
	return false
}

// mount gives the homestead a STEAD_HOME on a file system of its own.
func (h *homestead) mount(size string) {
	h.Helper()
	if err := os.Mkdir(h.home, 0o700); err != nil {
		h.Fatal(err)
	}
	if err := unix.Mount("tmpfs", h.home, "tmpfs", 0, "mode=0700,size="+size); err != nil {
		h.Skipf("needs: root, to mount: %v", err)
	}
	h.unmount = func() { _ = unix.Unmount(h.home, unix.MNT_DETACH) } // ends with the namespace anyway
}

// TestFullDisk: services run on, requests are refused with the reason, and
// once there is room all works again; logs say how much they lost.
func TestFullDisk(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHomestead(t, `
services:
  ticker: {command: service -every 1ms}
  other: {command: service}
`)
	h.mount("8m")
	h.ok("up", "-d")
	h.ok("down", "other")
	ticker := h.pid("ticker")
	filler := filepath.Join(h.home, "filler")
	fill(t, filler)
	var out string
	code := 0
	for end := time.Now().Add(20 * time.Second); code != 1 && time.Now().Before(end); { // the database may have pages to spare
		fill(t, filler)
		if out, code = h.stead("up", "-d", "--timeout", "1s", "other"); code == 0 {
			out, code = h.stead("down", "--timeout", "1s", "other")
		}
	}
	for range 10 { // for lines to be lost: the log's last page has to be full, too
		fill(t, filler)
		time.Sleep(100 * time.Millisecond)
	}
	if code != 1 || !strings.Contains(out, "no space left") || !strings.Contains(out, "stead: hint: the disk is full") {
		t.Errorf("up ended with %d: %s", code, out)
	}
	if s := h.ok("status"); !strings.Contains(s, "the state cannot be written") {
		t.Errorf("status says nothing of it: %s", s)
	}
	if h.pid("ticker") != ticker || !lives(ticker) {
		t.Error("a service was touched")
	}

	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	h.until("requests are taken again", 5*time.Second, func() bool {
		_, code := h.stead("up", "-d", "other")
		return code == 0
	})
	if s := h.ok("status"); strings.Contains(s, "cannot be written") {
		t.Errorf("the problem is still there: %s", s)
	}
	if h.pid("ticker") != ticker {
		t.Error("a service was touched")
	}
	h.ok("down")
	h.checkGaps()
}

// fill leaves no room on a file's disk.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 512} {
		for err := error(nil); err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}

var missing = regexp.MustCompile(`(\d+) bytes are missing here`)

// checkGaps compares what ticker's log lacks with what the gaps in it say.
func (h *homestead) checkGaps() {
	h.Helper()
	said, whole, last := 0, 0, 0
	for line := range strings.Lines(h.ok("logs", "--no-prefix", "ticker")) {
		line = strings.TrimSuffix(line, "\n")
		if found := missing.FindStringSubmatch(line); found != nil {
			n, _ := strconv.Atoi(found[1])
			said += n
			continue
		}
		if strings.HasPrefix(line, "[stead]") {
			continue
		}
		whole += len(line) + 1
		if number, ok := strings.CutPrefix(line, "tick "); ok {
			last, _ = strconv.Atoi(number)
		}
	}
	written := 0
	for n := range last {
		written += len("tick \n") + len(strconv.Itoa(n+1))
	}
	if said == 0 || written != whole+said {
		h.Errorf("%d bytes written, %d in the log, %d said to be missing: off by %d", written, whole, said, written-whole-said)
	}
}

// TestReadOnlyHome: a state directory that cannot be written is said, before
// and while a daemon runs, and nothing that runs is touched.
func TestReadOnlyHome(t *testing.T) {
	if !alone(t) {
		return
	}
	h := newHomestead(t, "services: {a: {command: service}, b: {command: service}}\n")
	h.mount("32m")
	undo := h.readOnly()
	out, code := h.stead("up", "-d")
	if code == 0 || !strings.Contains(out, "read-only") || !strings.Contains(out, "stead: hint:") {
		t.Errorf("up ended with %d: %s", code, out)
	}
	undo()
	h.ok("up", "-d", "a")
	a := h.pid("a")
	daemon, _ := h.daemons()
	if err := unix.Kill(daemon, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	h.until("the daemon is gone", 5*time.Second, func() bool { return !lives(daemon) })
	undo = h.readOnly()
	out, code = h.stead("up", "-d")
	if code == 0 || !strings.Contains(out, "read-only") || !strings.Contains(out, "stead: hint:") {
		t.Errorf("up ended with %d: %s", code, out)
	}
	if !lives(a) {
		t.Error("a service was touched")
	}
	undo()
	h.ok("up", "-d")
	if h.pid("a") != a {
		t.Error("a service was touched")
	}
}

// readOnly covers the home by a way to it that cannot be written. The file
// system itself could not become read-only while the runtime has files open.
func (h *homestead) readOnly() (undo func()) {
	h.Helper()
	err := unix.Mount(h.home, h.home, "", unix.MS_BIND, "")
	if err == nil {
		err = unix.Mount("", h.home, "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, "")
	}
	if err != nil {
		h.Fatal(err)
	}
	return func() {
		if err := unix.Unmount(h.home, unix.MNT_DETACH); err != nil {
			h.Error(err)
		}
	}
}
