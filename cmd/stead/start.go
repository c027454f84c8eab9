package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

const (
	// startLimit is how long a daemon may take until it answers. It opens its
	// state and reaches its runtime first; both take milliseconds.
	startLimit = 5 * time.Second
	// loserLimit is for a daemon that somebody else has started at the same
	// moment, after ours ended without having seen its lock.
	loserLimit = time.Second
	// exitLocked is how steadd ends when another one holds the lock: that one
	// is on its way, and has the whole startLimit.
	exitLocked = 3
	// logLines is how much of daemon.log explains why it did not come up.
	logLines = 10
)

// ensureDaemon returns a client of a daemon that runs; it is started when it
// does not.
func (c *cli) ensureDaemon(ctx context.Context) (steadpb.DaemonClient, error) {
	home, err := c.home()
	if err != nil {
		return nil, err
	}
	client := ipc.NewClient(home.Socket)
	if answers(home.Socket) {
		return client, nil
	}
	if err := home.Make(); err != nil {
		return nil, err
	}
	args, err := c.daemonArguments()
	if err != nil {
		return nil, err
	}
	started, unitErr := false, error(nil)
	if len(args) == 0 { // the unit is of the daemon at home
		started, unitErr = startUnit(ctx, home, client)
	}
	if started {
		return client, nil
	}
	if unitErr != nil && ctx.Err() == nil {
		c.warn("the daemon is started without systemd, because its unit does not start: %v", unitErr)
	}
	if err := startDaemon(ctx, home, client, args); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, ended{exitNoDaemon, fmt.Errorf("start the daemon: %w", err)}
	}
	return client, nil
}

// startDaemon starts steadd on its own: in a session of its own, so that no
// signal of this terminal reaches it, and with nothing open that is ours.
func startDaemon(ctx context.Context, home ipc.Home, client *ipc.Client, args []string) error {
	path, err := daemonPath()
	if err != nil {
		return err
	}
	logPath := filepath.Join(home.State, "daemon.log")
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // only the child writes to it
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Dir = "/"
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = detached()
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := waitForDaemon(ctx, client, cmd); err != nil {
		return runtime.WithHint(fmt.Errorf("%w%s", err, logTail(logPath, before)), "its log is "+logPath)
	}
	return nil
}

// waitForDaemon waits until some daemon answers. When the one that was
// started ends before, another may have been quicker to the lock.
func waitForDaemon(ctx context.Context, client *ipc.Client, cmd *exec.Cmd) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	exited := make(chan error, 1)
	// Ends with the daemon, which is to outlive this program: the one
	// goroutine here that nobody waits for.
	go func() { exited <- cmd.Wait() }()
	ready := make(chan error, 1)
	go func() { // ends with ctx, received below
		_, err := client.WaitReady(ctx)
		ready <- err
	}()
	select {
	case err := <-ready:
		if err == nil {
			return nil
		}
		return fmt.Errorf("%s does not answer: %w", filepath.Base(cmd.Path), err)
	case <-exited:
	}
	if cmd.ProcessState.ExitCode() != exitLocked {
		late := time.AfterFunc(loserLimit, cancel)
		defer late.Stop()
	}
	if <-ready == nil {
		return nil
	}
	return fmt.Errorf("%s ended at once (%v)", filepath.Base(cmd.Path), cmd.ProcessState)
}

// daemonPath finds steadd beside this program, where it is linked from or to.
func daemonPath() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	directories := []string{filepath.Dir(own)}
	if resolved, err := filepath.EvalSymlinks(own); err == nil && filepath.Dir(resolved) != directories[0] {
		directories = append(directories, filepath.Dir(resolved))
	}
	for _, directory := range directories {
		path := filepath.Join(directory, "steadd")
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", runtime.WithHint(errors.New("steadd is not in "+strings.Join(directories, " or ")),
		"stead and steadd belong in the same directory: install both")
}

// logTail returns the last lines that path got after offset, indented.
func logTail(path string, offset int64) string {
	const most = 64 << 10 // ten lines are never longer, in a log meant for people
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // was only read
	if info, err := file.Stat(); err == nil {
		offset = max(offset, info.Size()-most)
	}
	data, err := io.ReadAll(io.NewSectionReader(file, offset, most))
	if err != nil {
		return ""
	}
	text := strings.TrimRight(string(data), "\n")
	if text == "" {
		return ""
	}
	lines := strings.Split(text, "\n")
	lines = lines[max(0, len(lines)-logLines):]
	return "\n    " + strings.Join(lines, "\n    ")
}
