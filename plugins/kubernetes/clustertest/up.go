//go:build linux

package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// wanted is what up asks the keeper for.
type wanted struct {
	Name, Tier string
	Net        int // negative: the first that is free
	Linger     time.Duration
}

// up returns the cluster of that name, started when there is none. Only one up
// at a time looks after a name.
func up(w wanted) (*cluster, error) {
	dir, err := dirOf(w.Name)
	if err != nil {
		return nil, err
	}
	if _, err := prerequisites(w.Tier); err != nil {
		return nil, fmt.Errorf("needs: %w", err)
	}
	unlock, err := lock(dir + ".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	if conn, err := dial(dir); err == nil {
		defer conn.Close() // it does not end between here and the caller's own lease: closing begins its linger anew
		return found(dir, w)
	}
	if err := os.RemoveAll(dir); err != nil { // of one that was killed
		return nil, err
	}
	return begin(dir, w)
}

func found(dir string, w wanted) (*cluster, error) {
	c, err := read(dir)
	if err != nil {
		return nil, err
	}
	if c.Tier != w.Tier || c.Version != version || w.Net >= 0 && (c.node == nil || c.Net != w.Net) {
		return nil, fmt.Errorf("cluster %s is up already, as tier %s of Kubernetes %s, and not as asked for: choose another -name, or clustertest down -name %s", w.Name, c.Tier, c.Version, w.Name)
	}
	return c, nil
}

// begin starts the keeper, in a session of its own so that a Ctrl-C here is not
// its end, and shows what it says until the cluster is ready.
func begin(dir string, w wanted) (*cluster, error) {
	if err := os.MkdirAll(filepath.Join(dir, "log"), 0o700); err != nil {
		return nil, err
	}
	text, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	out, err := os.Create(filepath.Join(dir, "log", "keeper.log"))
	if err != nil {
		return nil, err
	}
	defer out.Close()
	progress, theirs, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer progress.Close()
	cmd := exec.Command("/proc/self/exe", "keep", string(text))
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = out, out
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	theirs.Close()
	if err != nil {
		return nil, fmt.Errorf("start the keeper: %w", err)
	}
	lines := bufio.NewScanner(progress)
	for lines.Scan() { // until it is ready, or gone
		fmt.Fprintln(os.Stderr, lines.Text())
	}
	c, err := read(dir)
	if err != nil {
		return nil, fmt.Errorf("the cluster did not start:\n%s", tails(dir))
	}
	return c, nil
}

// tails returns the end of each log.
func tails(dir string) string {
	var all strings.Builder
	files, _ := filepath.Glob(filepath.Join(dir, "log", "*.log"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || strings.HasSuffix(f, "audit.log") {
			continue
		}
		lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		lines = lines[max(0, len(lines)-5):]
		fmt.Fprintf(&all, "%s:\n\t%s\n", f, strings.Join(lines, "\n\t"))
	}
	return all.String()
}

// dial takes a lease.
func dial(dir string) (*net.UnixConn, error) {
	return net.DialUnix("unix", nil, &net.UnixAddr{Name: filepath.Join(dir, "lease"), Net: "unix"})
}

// down ends the cluster and waits until it is gone: the keeper is known by who
// listens, and closes its connections last.
func down(name string) error {
	dir, err := dirOf(name)
	if err != nil {
		return err
	}
	conn, err := dial(dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "no cluster %s is up\n", name)
		return os.RemoveAll(dir)
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var keeper *syscall.Ucred
	control := raw.Control(func(fd uintptr) {
		keeper, err = syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED)
	})
	if err := errors.Join(control, err); err != nil {
		return fmt.Errorf("ask who keeps cluster %s: %w", name, err)
	}
	if err := syscall.Kill(int(keeper.Pid), syscall.SIGTERM); err != nil {
		return fmt.Errorf("end the keeper of cluster %s, pid %d: %w", name, keeper.Pid, err)
	}
	_, _ = io.Copy(io.Discard, conn)
	return nil
}
