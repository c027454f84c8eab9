package process

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// defaultPath is where commands are looked for when the environment has no
// PATH at all; what execvp(3) does then differs between systems.
const defaultPath = "/usr/local/bin:/usr/bin:/bin"

// environment of an instance, later ones winning: the user's, stead's, the
// declared one, and what only the runtime knows.
func environment(spec *runtime.Spec, stead map[string]string, ports map[string]int, instance string) []string {
	env := make(map[string]string, len(spec.Inherited)+len(spec.Environment)+8)
	for _, entry := range spec.Inherited {
		if key, value, ok := strings.Cut(entry, "="); ok && key != "" {
			env[key] = value
		}
	}
	env["PWD"] = spec.Dir // the user's is that of another directory
	for _, key := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PID"} {
		delete(env, key) // meant for whoever the user's environment is from
	}
	if spec.Terminal && env["TERM"] == "" {
		env["TERM"] = "xterm-256color"
	}
	maps.Copy(env, stead)
	maps.Copy(env, spec.Environment)
	for i, p := range spec.Ports {
		number := strconv.Itoa(ports[p.Name])
		if i == 0 {
			env["PORT"] = number
		}
		env["PORT_"+strings.NewReplacer("-", "_", ".", "_").Replace(strings.ToUpper(p.Name))] = number
	}
	env["STEAD_ID"] = instance
	list := make([]string, 0, len(env))
	for key, value := range env {
		list = append(list, key+"="+value)
	}
	slices.Sort(list)
	return list
}

func variable(env []string, key string) (string, bool) {
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, key+"="); ok {
			return value, true
		}
	}
	return "", false
}

// enterable explains why a process cannot start in dir.
func enterable(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("working directory %s does not exist", dir)
	case err != nil:
		return fmt.Errorf("working directory %s: %w", dir, reason(err))
	case !info.IsDir():
		return fmt.Errorf("working directory %s is not a directory", dir)
	case unix.Access(dir, unix.X_OK) != nil:
		return fmt.Errorf("permission denied: working directory %s", dir)
	}
	return nil
}

// lookUp finds the file that name means in dir with env, as a shell would.
// Its errors are for users, without a prefix.
func lookUp(name, dir string, env []string) (string, error) {
	if err := enterable(dir); err != nil {
		return "", err
	}
	if strings.Contains(name, "/") {
		path := absolute(name, dir)
		return path, runnable(name, path)
	}
	path, ok := variable(env, "PATH")
	if !ok {
		path = defaultPath
	}
	var denied error
	for _, place := range filepath.SplitList(path) {
		file := filepath.Join(absolute(place, dir), name)
		err := runnable(file, file)
		if err == nil {
			return file, nil
		}
		if errors.Is(err, fs.ErrPermission) && denied == nil {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("command %q not found in PATH (%s)", name, path)
}

func absolute(name, dir string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(dir, name)
}

// runnable returns nil if path, which the user calls name, can be executed.
func runnable(name, path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s: no such file (built?)", name)
	case err != nil:
		return fmt.Errorf("%s: %w", name, reason(err))
	case info.IsDir():
		return fmt.Errorf("%s is a directory", name)
	case unix.Access(path, unix.X_OK) != nil:
		return &deniedError{name}
	}
	return nil
}

type deniedError struct{ name string }

func (e *deniedError) Error() string { return "permission denied: " + e.name + " is not executable" }
func (e *deniedError) Unwrap() error { return fs.ErrPermission }

// reason strips the operation and path that os puts before an error.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// explainExec says why the kernel would not run path, which lookUp had found.
func explainExec(name, path string, err error) error {
	switch {
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("exec format error: %s is not a program for %s/%s (a script begins with #!)",
			name, goruntime.GOOS, goruntime.GOARCH)
	case errors.Is(err, syscall.ENOENT):
		if program := interpreter(path); program != "" {
			return fmt.Errorf("%s: its interpreter %s does not exist", name, program)
		}
		return fmt.Errorf("%s: no such file, or the loader that it needs is missing", name)
	case errors.Is(err, syscall.ETXTBSY):
		return fmt.Errorf("%s: text file busy (somebody is still writing it)", name)
	case errors.Is(err, syscall.E2BIG):
		return fmt.Errorf("%s: arguments and environment are too long", name)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// interpreter returns the program in the #! line of path, or "".
func interpreter(path string) string {
	line := make([]byte, 256)
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	n, _ := f.Read(line)
	text, ok := bytes.CutPrefix(line[:n], []byte("#!"))
	if !ok {
		return ""
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	if fields := bytes.Fields(text); len(fields) > 0 {
		return string(fields[0])
	}
	return ""
}

// signalNamed returns the signal that name, with or without SIG, means.
func signalNamed(name string) (syscall.Signal, bool) {
	if name == "" {
		return syscall.SIGTERM, true
	}
	name = strings.ToUpper(name)
	if !strings.HasPrefix(name, "SIG") {
		name = "SIG" + name
	}
	sig := unix.SignalNum(name)
	return sig, sig != 0
}
