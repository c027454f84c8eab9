package environ

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	// limit is how long a shell may take. Those with a framework and several
	// version managers take one to two seconds on a busy laptop.
	limit = 5 * time.Second
	// maxOutput bounds what a shell may print, its environment included: the
	// kernel takes no environment of more than some megabytes either.
	maxOutput = 8 << 20
)

// Marker is set for a login shell that is asked for its environment, so that
// its files can leave out what only a person needs.
const Marker = "STEAD_RESOLVING_ENVIRONMENT"

// An Unanswered error says why a login shell did not tell its environment.
type Unanswered struct {
	Shell string // its path, "" when there is none
	Why   string
}

func (e *Unanswered) Error() string { return e.Why }

// Capture asks the login shell of a caller for the environment that it sets
// in a directory. Files that are sourced may do anything, so the shell is
// given no terminal, nothing to read, 5 s, and a session of its own, of which
// nothing is left. The error is *Unanswered, or that of ctx.
//
// This runs as a child of the daemon, and not as a one-shot of the runtime
// like builds do: the runtime keeps what its processes write in log files,
// and this output is made of secrets. It is short, and ends with its pipe.
func Capture(ctx context.Context, directory string, caller []string) ([]string, error) {
	return capture(ctx, directory, caller, limit)
}

func capture(ctx context.Context, directory string, caller []string, limit time.Duration) ([]string, error) {
	values := Values(caller)
	shell, home := login(values)
	switch base := filepath.Base(shell); {
	case shell == "":
		return nil, &Unanswered{Why: "there is no login shell: SHELL is not set, and the system has none noted"}
	case base == "nologin" || base == "false":
		return nil, nil // a user who never logs in has nothing to add
	case !filepath.IsAbs(shell):
		return nil, &Unanswered{shell, "SHELL is not an absolute path"}
	}
	mark := "stead-" + rand.Text()
	cmd := exec.Command(shell, arguments(shell, mark)...)
	cmd.Dir = directory
	cmd.Env = starting(values, shell, home)
	cmd.SysProcAttr = attributes()
	output, err := run(ctx, cmd, []byte(mark), limit)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, &Unanswered{shell, err.Error()}
	}
	return result(output), nil
}

// run starts a shell and returns what it prints between two marks.
func run(ctx context.Context, cmd *exec.Cmd, mark []byte, limit time.Duration) ([]byte, error) {
	goruntime.LockOSThread() // attributes are about the thread that starts the shell
	defer goruntime.UnlockOSThread()
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open a pipe: %w", err)
	}
	defer read.Close()
	cmd.Stdout = write
	err = cmd.Start()
	_ = write.Close()
	if err != nil {
		return nil, notStarted(err)
	}
	_ = read.SetReadDeadline(time.Now().Add(limit))
	defer context.AfterFunc(ctx, func() { _ = read.SetReadDeadline(time.Unix(1, 0)) })()
	output, readErr := between(read, mark)
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	waitErr := cmd.Wait()
	switch {
	case readErr == nil:
		return output, nil
	case errors.Is(readErr, os.ErrDeadlineExceeded):
		return nil, fmt.Errorf("the login shell did not answer within %s", limit)
	case !errors.Is(readErr, errEnd):
		return nil, readErr
	}
	if exit, ok := errors.AsType[*exec.ExitError](waitErr); ok {
		return nil, fmt.Errorf("the login shell ended with %s, and did not tell its environment", exit)
	}
	return nil, errors.New("the login shell did not tell its environment")
}

func notStarted(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("the login shell does not exist")
	case errors.Is(err, fs.ErrPermission):
		return errors.New("the login shell cannot be executed")
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return fmt.Errorf("the login shell cannot be started: %w", err)
}

var errEnd = errors.New("the output ended")

// between reads until mark came twice, and returns what is between. What is
// before the first is whatever a shell's files print.
func between(r *os.File, mark []byte) ([]byte, error) {
	var all []byte
	buffer := make([]byte, 32<<10)
	for {
		n, err := r.Read(buffer)
		all = append(all, buffer[:n]...)
		if _, after, ok := bytes.Cut(all, mark); ok {
			if inner, _, ok := bytes.Cut(after, mark); ok {
				return inner, nil
			}
		}
		switch {
		case len(all) > maxOutput:
			return nil, fmt.Errorf("the login shell printed more than %d MB, and no environment", maxOutput>>20)
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil, err
		case err != nil:
			return nil, errEnd
		}
	}
}

// arguments make a shell print its environment between two marks. Hooks that
// wait for a prompt are called by name: there is none.
func arguments(shell, mark string) []string {
	print := fmt.Sprintf("printf %%s %s; /usr/bin/env -0; printf %%s %s", mark, mark)
	switch filepath.Base(shell) {
	case "fish":
		return []string{"-l", "-i", "-c", "functions -q __direnv_export_eval; and __direnv_export_eval; " +
			"functions -q __mise_env_eval; and __mise_env_eval; " + print}
	case "csh", "tcsh": // -l goes with nothing else there; what .cshrc sets is had without
		return []string{"-c", print}
	}
	return []string{"-l", "-i", "-c", "if command -v _direnv_hook >/dev/null 2>&1; then _direnv_hook; fi; " +
		"if command -v _mise_hook >/dev/null 2>&1; then _mise_hook; fi; " + print}
}

// passed are the variables of a caller that are those of the session it is
// in. All others would hide what the shell's files do: a PATH that is set
// already is set again, longer, and direnv takes a directory for loaded.
var passed = []string{
	"USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "ZDOTDIR", "DISPLAY", "WAYLAND_DISPLAY",
	"SSH_AUTH_SOCK", "DBUS_SESSION_BUS_ADDRESS",
}

// starting is the environment that a shell is started in: never the daemon's.
func starting(values map[string]string, shell, home string) []string {
	out := []string{"HOME=" + home, "SHELL=" + shell, "TERM=dumb", Marker + "=1", "PATH=" + strings.Join(systemPath, ":")}
	for name, value := range values {
		if slices.Contains(passed, name) || strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "XDG_") {
			out = append(out, name+"="+value)
		}
	}
	return out
}

// ofShell are variables that are about the shell itself.
var ofShell = []string{"_", "SHLVL", "PWD", "OLDPWD", "TERM", Marker}

// result is the environment of what env -0 printed.
func result(output []byte) []string {
	var out []string
	for entry := range bytes.SplitSeq(output, []byte{0}) {
		name, _, ok := strings.Cut(string(entry), "=")
		if ok && name != "" && !slices.Contains(ofShell, name) {
			out = append(out, string(entry))
		}
	}
	return out
}
