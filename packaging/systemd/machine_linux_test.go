package systemd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// machine is a systemd that runs as pid 1 of namespaces of its own, over a
// copy-on-write view of this machine. It ends with the test, also when that
// is killed.
type machine struct {
	dir    string // put together here
	cgroup string // the root of its cgroups, as seen from outside
	outer  *exec.Cmd
	init   string // its pid 1, as seen from outside
	ended  chan struct{}
}

func boot(t *testing.T) *machine {
	t.Helper()
	needed(t)
	m := &machine{dir: t.TempDir(), ended: make(chan struct{})}
	for _, name := range []string{"root", "layers", "share"} {
		check(t, os.Mkdir(filepath.Join(m.dir, name), 0o755))
	}
	m.makeCgroup(t)
	console, err := os.Create(filepath.Join(m.dir, "console"))
	check(t, err)
	defer console.Close()
	script, err := filepath.Abs("testdata/boot.sh")
	check(t, err)
	group, err := os.Open(m.cgroup)
	check(t, err)
	defer group.Close()
	m.outer = exec.Command("unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--fork",
		"--kill-child", "--propagation", "private", "sh", script, m.dir)
	m.outer.Stdout, m.outer.Stderr = console, console
	m.outer.SysProcAttr = &syscall.SysProcAttr{
		Setsid: true, Pdeathsig: syscall.SIGKILL, UseCgroupFD: true, CgroupFD: int(group.Fd()),
	}
	started := make(chan error)
	go func() { // ends with the machine, see end
		defer close(m.ended)
		goruntime.LockOSThread() // Pdeathsig is sent when this thread ends
		err := m.outer.Start()
		started <- err
		if err == nil {
			_ = m.outer.Wait()
		}
	}()
	check(t, <-started)
	t.Cleanup(m.end)
	m.await(t)
	return m
}

// needed skips the test unless it was asked for. Then all has to be there: a
// lane that silently does nothing proves nothing.
func needed(t *testing.T) {
	t.Helper()
	if os.Getenv("STEAD_SYSTEMD") == "" {
		t.Skip("needs: STEAD_SYSTEMD=1, to boot a systemd (make systemd)")
	}
	if os.Geteuid() != 0 {
		t.Fatal("needs: root")
	}
	for _, program := range []string{"systemctl", "systemd-run", "dbus-daemon", "unshare", "nsenter", "setpriv", "useradd", "pgrep"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatal("needs: " + program)
		}
	}
	for _, file := range []string{"/lib/systemd/systemd", "/usr/lib/systemd/user/dbus.socket"} { // dbus-user-session
		if _, err := os.Stat(file); err != nil {
			t.Fatal("needs: " + file)
		}
	}
}

func (m *machine) makeCgroup(t *testing.T) {
	t.Helper()
	parent := "/sys/fs/cgroup/unified" // a hybrid hierarchy
	if _, err := os.Stat(parent); err != nil {
		parent = "/sys/fs/cgroup"
	}
	sweep(parent)
	dir, err := os.MkdirTemp(parent, fmt.Sprintf("stead-test-%d-", os.Getpid()))
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "cgroup.kill")) // cgroup v2, Linux 5.14
	}
	if err != nil {
		t.Fatalf("needs: a writable cgroup v2: %v", err)
	}
	check(t, os.Chmod(dir, 0o755)) // ordinary users of the machine have theirs below
	m.cgroup = dir
	// removed when the machine has ended: cleanups run in reverse order
	t.Cleanup(func() { removeAll(dir) })
}

// sweep removes what killed tests left: their machines have ended, but nobody
// has removed the cgroups.
func sweep(parent string) {
	dirs, _ := filepath.Glob(filepath.Join(parent, "stead-test-*"))
	for _, dir := range dirs {
		var pid int
		_, err := fmt.Sscanf(filepath.Base(dir), "stead-test-%d-", &pid)
		if err == nil && syscall.Kill(pid, 0) != nil {
			removeAll(dir)
		}
	}
}

// removeAll removes a cgroup with those below it.
func removeAll(dir string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		if e.IsDir() {
			removeAll(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir)
}

// await returns when the machine is up.
func (m *machine) await(t *testing.T) {
	t.Helper()
	eventually(t, 60*time.Second, "pid 1 of the machine runs systemd", func() error {
		select {
		case <-m.ended:
			console, _ := os.ReadFile(filepath.Join(m.dir, "console"))
			t.Fatalf("the machine does not boot:\n%s", console)
		default:
		}
		pid := fmt.Sprint(m.outer.Process.Pid)
		children, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
		if err != nil {
			return err
		}
		m.init = strings.TrimSpace(string(children))
		name, err := os.ReadFile("/proc/" + m.init + "/comm")
		if string(name) != "systemd\n" {
			return fmt.Errorf("it is %q, %v", name, err)
		}
		return nil
	})
	eventually(t, 60*time.Second, "the machine is up", func() error {
		out, err := m.command("root", "systemctl is-system-running --wait").CombinedOutput()
		if state := strings.TrimSpace(string(out)); state != "running" && state != "degraded" {
			return fmt.Errorf("it is %q, %v", state, err)
		}
		return nil
	})
}

func (m *machine) end() {
	_ = m.command("root", "kill -s RTMIN+4 1").Run() // as poweroff (systemd(1))
	select {
	case <-m.ended:
	case <-time.After(10 * time.Second):
		_ = m.outer.Process.Kill() // --kill-child has all of it end
		<-m.ended
	}
}

// commandLimit is for a command in the machine: nothing there may hang.
const commandLimit = 30 * time.Second

// command runs a shell script in the machine, as root or as an ordinary user
// who has just logged in.
func (m *machine) command(user, script string) *exec.Cmd {
	// the limit kills what it starts; the context needs no release before
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	argv := []string{"-t", m.init, "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if user == "root" {
		argv = append(argv, "HOME=/root")
	} else {
		argv = append(argv, "HOME=/home/"+user, "USER="+user, "XDG_RUNTIME_DIR=/run/user/"+aliceID,
			"setpriv", "--reuid", aliceID, "--regid", aliceID, "--init-groups")
	}
	cmd := exec.CommandContext(ctx, "nsenter", append(argv, "sh", "-ec", "cd; "+script)...)
	cmd.WaitDelay = time.Second
	context.AfterFunc(ctx, cancel)
	return cmd
}

// run returns what the script prints, and fails the test when it fails.
func (m *machine) run(t *testing.T, user, script string) string {
	t.Helper()
	cmd := m.command(user, script)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s%s", user, script, err, out, stderr.Bytes())
	}
	return strings.TrimSpace(string(out))
}

func eventually(t *testing.T, limit time.Duration, what string, try func() error) {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		err := try()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s: %v", what, limit, err)
		}
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
