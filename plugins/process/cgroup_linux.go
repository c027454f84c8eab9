package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// cgroups is a cgroup v2 of this runtime's own, with one below it per tree,
// where whoever started us may have one: as root, or where systemd delegated.
// Without limits no controller is enabled; all that is used is membership,
// which no process can leave by itself, and cgroup.kill (Linux 5.14).
type cgroups struct {
	base    string
	log     *slog.Logger
	limiter *limiter
	next    atomic.Uint64
	off     atomic.Bool // the kernel refused to start a process in one
	lock    int         // says that we live
}

// cgroup is that of one tree.
type cgroup struct {
	of      *cgroups
	dir     string
	limited bool // no process of the tree may be anywhere else
}

func newCgroups(nonce string, log *slog.Logger) *cgroups {
	mount, parent, err := ownCgroup()
	if err != nil {
		log.Debug("no cgroups", "err", err)
		return nil
	}
	removeStale(parent)
	if err := stepAside(parent); err != nil {
		log.Debug("the runtime stays at the root of its cgroup", "err", err)
	}
	c := &cgroups{base: filepath.Join(parent, "stead-"+nonce), log: log, lock: -1}
	c.limiter = &limiter{own: os.Getpid(), place: cgroupPlace{known: "/proc/cgroups", mount: mount, parent: parent, base: c.base}}
	if err := os.Mkdir(c.base, 0o755); err != nil {
		log.Debug("no cgroups", "err", err)
		return nil
	}
	if c.lock, err = lockCgroup(c.base); err != nil {
		log.Debug("no cgroups: cannot lock ours", "err", err)
		_ = os.Remove(c.base)
		return nil
	}
	if err := unix.Access(filepath.Join(c.base, "cgroup.kill"), unix.W_OK); err != nil {
		log.Debug("no cgroups: no cgroup.kill", "err", err)
		c.close()
		return nil
	}
	return c
}

// stepAside moves this process into a leaf, when parent is a systemd scope in
// which it is alone: controllers can be enabled for the cgroups of a parent
// without processes only (cgroups(7), "no internal processes"). systemd removes
// the leaf with the scope.
func stepAside(parent string) error {
	if filepath.Ext(parent) != ".scope" {
		return nil
	}
	pids, err := os.ReadFile(filepath.Join(parent, "cgroup.procs"))
	if err != nil {
		return err
	}
	self := fmt.Sprint(os.Getpid())
	if strings.TrimSpace(string(pids)) != self {
		return nil // not ours alone
	}
	leaf := filepath.Join(parent, "runtime")
	if err := os.Mkdir(leaf, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return os.WriteFile(filepath.Join(leaf, "cgroup.procs"), []byte(self), 0)
}

// lockCgroup locks dir for as long as the descriptor it returns is open: that
// tells the cgroup of a living runtime from that of a dead one, whatever pid
// namespace either is in.
func lockCgroup(dir string) (int, error) {
	fd, err := unix.Open(dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// removeStale removes what dead runtimes left. A cgroup that has processes
// stays: they are the business of whoever has the records about them.
func removeStale(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, "stead-*"))
	for _, dir := range dirs {
		if fd, err := lockCgroup(dir); err == nil {
			if emptyCgroup(dir) {
				removeCgroup(dir)
			}
			unix.Close(fd)
		}
	}
}

// ownCgroup returns the directory of the cgroup v2 that this process is in
// (cgroups(7)), on a unified or a hybrid hierarchy, and where that is mounted.
func ownCgroup() (mount, dir string, err error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", "", err
	}
	own := ""
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			own = path
		}
	}
	if own == "" {
		return "", "", errors.New("not in a cgroup v2")
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", "", err
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if !ok || len(fields) < 5 || !strings.HasPrefix(after, "cgroup2 ") {
			continue
		}
		root, point := fields[3], fields[4]
		below, err := filepath.Rel(root, own)
		if err != nil || below == ".." || strings.HasPrefix(below, "../") {
			continue
		}
		return point, filepath.Join(point, below), nil
	}
	return "", "", errors.New("no cgroup v2 is mounted")
}

// path is where the cgroups are, for a later runtime to clear.
func (c *cgroups) path() string {
	if c == nil {
		return ""
	}
	return c.base
}

// open makes a cgroup for one tree; nil when there is none to be had, which
// is an error only with limits.
func (c *cgroups) open(limits runtime.Limits) (*cgroup, error) {
	if limits == (runtime.Limits{}) {
		return c.make(), nil
	}
	if err := c.limitable(limits); err != nil {
		return nil, err
	}
	g := c.make()
	if g == nil {
		return nil, errors.New("there is no cgroup to limit it")
	}
	if err := g.limit(limits); err != nil {
		g.remove()
		return nil, err
	}
	g.limited = true
	return g, nil
}

func (c *cgroups) make() *cgroup {
	if c == nil || c.off.Load() {
		return nil
	}
	g := &cgroup{of: c, dir: filepath.Join(c.base, fmt.Sprint(c.next.Add(1)))}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		c.log.Warn("no cgroup for an instance", "err", err)
		return nil
	}
	return g
}

// close removes what is left when no process is.
func (c *cgroups) close() {
	if c != nil {
		removeCgroup(c.base)
		unix.Close(c.lock)
	}
}

// fork starts a process inside g from its first instruction on. Where the
// kernel does not let us, it starts outside, as all later ones do; but not
// one that is limited.
func (g *cgroup) fork(l *launcher, path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	if g == nil || g.of.off.Load() && !g.limited {
		return l.forkExec(path, argv, attr)
	}
	fd, err := unix.Open(g.dir, unix.O_DIRECTORY|unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil && g.limited {
		return 0, fmt.Errorf("its cgroup: %w", err)
	}
	if err != nil { // somebody removed it
		return l.forkExec(path, argv, attr)
	}
	defer unix.Close(fd)
	attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
	pid, err := l.forkExec(path, argv, attr)
	attr.Sys.UseCgroupFD = false
	switch {
	case g.limited:
	case errors.Is(err, syscall.EOPNOTSUPP), errors.Is(err, syscall.EBUSY), errors.Is(err, syscall.ENOSYS),
		errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EINVAL), errors.Is(err, syscall.EACCES):
		// Of these, EACCES and EPERM may also be about the program.
		refused := err
		if pid, err = l.forkExec(path, argv, attr); err == nil && !g.of.off.Swap(true) {
			g.of.log.Warn("the kernel starts no process in our cgroups: going on without", "err", refused)
		}
	}
	return pid, err
}

// kill ends everything in g.
func (g *cgroup) kill() {
	if g == nil {
		return
	}
	if err := os.WriteFile(filepath.Join(g.dir, "cgroup.kill"), []byte("1"), 0); err != nil && !errors.Is(err, fs.ErrNotExist) {
		g.of.log.Warn("kill a cgroup", "dir", g.dir, "err", err)
	}
}

// empty reports whether no process is in g or below.
func (g *cgroup) empty() bool { return g == nil || emptyCgroup(g.dir) }

func emptyCgroup(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	return err != nil || bytes.Contains(text, []byte("populated 0"))
}

// alone reports whether pid is all that is in g, and g has no cgroup below it.
func (g *cgroup) alone(pid int) bool {
	if g == nil {
		return false
	}
	var page [procPage]byte
	text := readProc(g.dir+"/cgroup.procs", page[:])
	if string(text) != fmt.Sprintf("%d\n", pid) {
		return false
	}
	var dir unix.Stat_t
	return unix.Stat(g.dir, &dir) == nil && dir.Nlink == 2 // itself and its name: a cgroup below has another link to it
}

// remove ends g itself.
func (g *cgroup) remove() {
	if g != nil {
		removeCgroup(g.dir)
	}
}

// removeCgroup removes dir and the cgroups that services made below it.
func removeCgroup(dir string) {
	if os.Remove(dir) == nil {
		return
	}
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeCgroup(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir)
}
