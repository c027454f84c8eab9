package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stead-dev/stead/ipc"
)

// unit is the daemon's, of the user's systemd; packaging/systemd has it.
const unit = "stead.service"

// unitLimit is how long systemd may take to say whether it knows the unit.
const unitLimit = time.Second

// startUnit has systemd start the daemon, where its unit is installed, and
// reports whether a daemon answers now. An error is why the unit could not be
// started; without one there is no unit, or it serves another home.
func startUnit(ctx context.Context, home ipc.Home, client *ipc.Client) (bool, error) {
	if home.Explicit || !unitInstalled(ctx) {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	// It returns once the daemon listens: the unit has Type=notify.
	if _, err := systemctl(ctx, "start", unit); err != nil {
		return false, fmt.Errorf("systemctl --user start %s: %w", unit, err)
	}
	if !alive(home.Socket) {
		return false, nil
	}
	_, err := client.WaitReady(ctx)
	return err == nil, err
}

// unitInstalled asks the user's systemd, where one runs.
func unitInstalled(ctx context.Context) bool {
	run := os.Getenv("XDG_RUNTIME_DIR")
	if run == "" {
		return false
	}
	if _, err := os.Stat(filepath.Join(run, "systemd", "private")); err != nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, unitLimit)
	defer cancel()
	state, err := systemctl(ctx, "show", "--property=LoadState", "--value", unit)
	return err == nil && state == "loaded"
}

func systemctl(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "systemctl", append([]string{"--user", "--no-ask-password"}, args...)...)
	cmd.WaitDelay = unitLimit // for its pipes, should a child of its own keep them
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", errors.New("it does not come back")
	}
	if said := strings.TrimSpace(stderr.String()); err != nil && said != "" {
		err = errors.New(said)
	}
	return strings.TrimSpace(string(out)), err
}
