package process

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// lowPortHint is for whoever may not have a port below 1024.
const lowPortHint = "choose a port from 1024 on; on Linux, sysctl net.ipv4.ip_unprivileged_port_start lowers that"

// Listen implements runtime.Runtime. Whoever has fetched a duplicate of a
// socket (runtime/sockets) keeps it open until it closes that itself.
func (r *Runtime) Listen(_ context.Context, sockets []runtime.Socket) ([]runtime.SocketStatus, error) {
	r.mu.Lock()
	closing := r.closing
	r.mu.Unlock()
	if closing {
		return nil, fmt.Errorf("listen: %w: %w", errClosing, runtime.Unavailable)
	}
	return r.listeners.declare(sockets), nil
}

// socketVariables are those of sd_listen_fds(3) that are known before the fork.
// The sockets begin at descriptor 3, right behind the standard streams.
func socketVariables(env []string, sockets []runtime.Socket) []string {
	names := make([]string, len(sockets))
	for i, s := range sockets {
		names[i] = s.Name
	}
	env = slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		return key == "LISTEN_FDS" || key == "LISTEN_FDNAMES" || key == "LISTEN_PID"
	})
	return append(env, "LISTEN_FDS="+strconv.Itoa(len(sockets)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
}

// The tiny programs that tell a process its own pid and then become what it
// is to be: nobody else can know it before exec. The second one needs a shell
// that can choose argv[0], which POSIX does not ask for and dash does not do.
const (
	execScript  = `LISTEN_PID=$$; export LISTEN_PID; exec "$@"`
	execAsFirst = `LISTEN_PID=$$; export LISTEN_PID; exec -a "$0" "$@"`
	plainShell  = "/bin/sh"
)

// knowingShells can choose argv[0], and keep variables whose names no shell
// can write ("spring.port"), which dash drops.
var knowingShells = [...]string{"/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"}

// throughShell returns what to execute so that path runs as argv and finds its
// pid in LISTEN_PID. Where only dash is, a snapshot sees its own path in
// argv[0], and names with dots in them get lost.
func throughShell(path string, argv, env []string, snapshot bool) (string, []string) {
	if !snapshot && !slices.ContainsFunc(env, odd) {
		return plainShell, append([]string{"sh", "-c", execScript, "sh"}, argv...)
	}
	for _, shell := range knowingShells {
		if runnable(shell, shell) == nil { // -p: neither BASH_ENV nor functions
			return shell, append([]string{"bash", "-p", "-c", execAsFirst, argv[0], path}, argv[1:]...)
		}
	}
	return plainShell, append([]string{"sh", "-c", execScript, "sh", path}, argv[1:]...)
}

// odd reports whether a variable's name is none of a shell's.
func odd(entry string) bool {
	name, _, _ := strings.Cut(entry, "=")
	return strings.ContainsFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}

// refused finds what a shell would say less well, or only by an exit code,
// than explainExec.
func refused(name, path string) error {
	if program := interpreter(path); program != "" {
		if _, err := os.Stat(program); os.IsNotExist(err) {
			return fmt.Errorf("%s: its interpreter %s does not exist", name, program)
		}
	}
	return nil
}
