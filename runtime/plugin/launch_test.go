package plugin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func TestShutdownLeavesNothing(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Attach(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := c.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	within(t, "Done", c.Done())
	within(t, "Done of another client", other.Done())
	eventually(t, "the process ends", func() bool { return !alive(r.PID) })
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || left[0].Name() != "log" || left[1].Name() != lockName {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if free, err := lockIsFree(dir); !free || err != nil {
		t.Errorf("lock is free: %v, %v", free, err)
	}
}

func TestPrivate(t *testing.T) {
	t.Parallel()
	_, dir := launched(t)
	for name, want := range map[string]os.FileMode{"": 0o700, "log": 0o600, recordName: 0o600, lockName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestManyLaunchesOneRuntime(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	killAtEnd(t, dir)
	nonces := make([]string, 3)
	var group sync.WaitGroup
	for i := range nonces {
		group.Go(func() {
			c, err := Launch(t.Context(), options(dir, "runtime"))
			if err != nil {
				t.Error(err)
				return
			}
			nonces[i] = c.Description().Nonce
			c.Close()
		})
	}
	group.Wait()
	if nonces[0] == "" || nonces[0] != nonces[1] || nonces[0] != nonces[2] {
		t.Errorf("they are attached to %q", nonces)
	}
	eventually(t, "the others give up", func() bool {
		log, err := os.ReadFile(filepath.Join(dir, "log"))
		return err == nil && bytes.Count(log, []byte("another runtime has the lock")) == len(nonces)-1
	})
}

func TestServeRefusesATakenDirectory(t *testing.T) {
	t.Parallel()
	_, dir := launched(t)
	err := Serve(t.Context(), ServeOptions{Dir: dir})
	if !errors.Is(err, runtime.Conflict) || ExitCode(err) != exitTaken {
		t.Errorf("got %v", err)
	}
	if err := Serve(t.Context(), ServeOptions{Dir: "/" + strings.Repeat("x", 120)}); !errors.Is(err, runtime.Invalid) {
		t.Errorf("a long path: %v", err)
	}
}

func TestHungRuntimeIsReplaced(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(r.PID, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := Attach(short, dir); !errors.Is(err, runtime.Unavailable) {
		t.Errorf("attach: %v", err)
	}
	next, err := Ensure(t.Context(), options(dir, "runtime"))
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if next.Description().Nonce == c.Description().Nonce {
		t.Error("it is still the same")
	}
	within(t, "Done of the old one's client", c.Done())
	eventually(t, "the old one is gone", func() bool { return !alive(r.PID) })
}

func TestEnsure(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	killAtEnd(t, dir)
	first, err := Ensure(t.Context(), options(dir, "runtime"))
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	second, err := Ensure(t.Context(), LaunchOptions{Dir: dir, Path: "/nonexistent"})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if first.Description().Nonce != second.Description().Nonce || first.Description().Build != "b1" {
		t.Errorf("%+v, %+v", first.Description(), second.Description())
	}
}

func TestBrokenBinary(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	o := options(dir, "broken")
	o.Scope = true // falls back, and fails the same way
	var log bytes.Buffer
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	_, err := Launch(t.Context(), o)
	if err == nil || !strings.Contains(err.Error(), "the disk is on fire") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(log.String(), "without a systemd scope") {
		t.Errorf("the log is silent: %q", log.String())
	}
	o.Path = "/nonexistent"
	if _, err := Launch(t.Context(), o); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no binary: %v", err)
	}
}

// A systemd whose bus hangs must not keep a daemon from its runtime.
func TestHangingLauncherIsKilled(t *testing.T) {
	t.Parallel()
	o := options(tempDir(t), "runtime")
	begin := time.Now()
	_, err := launchArgv(t.Context(), o, []string{"sleep", "1000"}, 50*time.Millisecond)
	if !errors.Is(err, runtime.Unavailable) || !strings.Contains(err.Error(), "sleep did nothing for 50ms") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(begin); took > patience {
		t.Errorf("it took %s", took)
	}
}

// One that has begun may take its time: there may be much to clear up.
func TestSlowRuntimeIsNotKilled(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	killAtEnd(t, dir)
	c, err := launchArgv(t.Context(), options(dir, "runtime", "PLUGIN_TEST_SLOW=2s"), []string{options(dir, "").Path}, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

func TestEndOfItsScopeEndsIt(t *testing.T) {
	t.Parallel()
	dir := tempDir(t)
	killAtEnd(t, dir)
	o := inScope(options(dir, "runtime"))
	c, err := Launch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, signal := range []syscall.Signal{syscall.SIGTERM, scopeSignal, scopeSignal} { // others have no effect
		if err := syscall.Kill(r.PID, signal); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "Done", c.Done())
	eventually(t, "its lock is free", func() bool { free, err := lockIsFree(dir); return free && err == nil })
	log, err := os.ReadFile(o.LogFile)
	if err != nil || !strings.Contains(string(log), "systemd stops its scope") {
		t.Errorf("the log says %q, %v", log, err)
	}
}

func TestVanishedHome(t *testing.T) {
	t.Parallel()
	home := tempDir(t)
	c, dir := launched(t, "PLUGIN_TEST_HOME="+home)
	if err := os.Remove(home); err != nil {
		t.Fatal(err)
	}
	within(t, "it ends", c.Done())
	eventually(t, "its lock is free", func() bool { free, err := lockIsFree(dir); return free && err == nil })
}

func TestVanishedDir(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil { // another one of that name is no comfort
		t.Fatal(err)
	}
	within(t, "it ends", c.Done())
	eventually(t, "the process ends", func() bool { return !alive(r.PID) })
}

// A directory that is cleared on one machine must not end what a cluster runs.
func TestVanishedDirStopsOnlyWhatCannotRemain(t *testing.T) {
	t.Parallel()
	for name, remains := range map[string]string{"remains": "yes", "ends": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shut := filepath.Join(t.TempDir(), "shut")
			c, dir := launched(t, "PLUGIN_TEST_SHUT="+shut, "PLUGIN_TEST_REMAINS="+remains)
			r, err := readRecord(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			within(t, "it ends", c.Done())
			eventually(t, "the process ends", func() bool { return !alive(r.PID) })
			if _, err := os.Stat(shut); (err == nil) != (remains == "") {
				t.Errorf("everything was stopped: %v", err == nil)
			}
		})
	}
}

func TestOrphanTTL(t *testing.T) {
	t.Parallel()
	c, dir := launched(t, "PLUGIN_TEST_TTL=2s")
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-c.Done():
		t.Fatal("it ended with a client attached")
	case <-time.After(2500 * time.Millisecond):
	}
	c.Close()
	eventually(t, "it ends", func() bool { return !alive(r.PID) })
}

func TestSignalsDoNotEndIt(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	r, err := readRecord(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGPIPE} {
		if err := syscall.Kill(r.PID, sig); err != nil {
			t.Fatal(err)
		}
	}
	// and its children take them as anybody does
	if _, err := c.Start(t.Context(), spec("child", 1)); err != nil {
		t.Fatal(err)
	}
	for _, e := range present(t, c) {
		if e.Exit != nil && e.Exit.Code != -1 {
			t.Errorf("SIGTERM was ignored by a child, which exited with %d", e.Exit.Code)
		}
	}
}

func TestPrintingDoesNotBlockIt(t *testing.T) {
	t.Parallel()
	c, dir := launched(t)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := c.Start(ctx, spec("loud", 1)); err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "log"))
	if err != nil || bytes.Count(log, []byte("x")) < 200<<10 || bytes.Count(log, []byte("y")) < 200<<10 {
		t.Errorf("the log has %d bytes, %v", len(log), err)
	}
}

func TestExitCode(t *testing.T) {
	for want, err := range map[int]error{
		0: nil, exitTaken: fmt.Errorf("it runs: %w", runtime.Conflict), exitMistaken: fmt.Errorf("no such context: %w", runtime.Invalid), 1: runtime.Internal,
	} {
		if got := ExitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
