package ipc

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strconv"

	"github.com/stead-dev/stead/runtime"
)

// Home says where one stead keeps its files. Two different homes are two
// fully separate steads.
type Home struct {
	State    string // database, generations
	Logs     string // what services wrote
	Run      string // sockets, locks and pids; gone after a reboot in most places
	Socket   string // of the daemon, in Run
	Explicit bool   // chosen with STEAD_HOME
}

// socketName is the daemon's socket in Home.Run.
const socketName = "stead.sock"

// longestSocketName is room for the other sockets in Home.Run: those of the
// runtime have names of up to 30 bytes.
const longestSocketName = 30

// ResolveHome returns the home that the environment names, and touches
// nothing.
//
//   - STEAD_HOME: everything in this directory.
//   - Linux and others: the XDG base directories. State is
//     $XDG_STATE_HOME/stead (~/.local/state/stead), Logs is State/logs, Run is
//     $XDG_RUNTIME_DIR/stead, or State/run without it.
//   - macOS: ~/Library/Application Support/stead, ~/Library/Logs/stead and
//     $TMPDIR/stead.
//
// A Unix socket's path holds about a hundred bytes (unix(7)). Where Run is too
// long for that, it is /tmp/stead-<uid>/<8 hex digits of SHA-256 of State>
// instead: short, the same each time, and one per State.
func ResolveHome() (Home, error) {
	return resolveHome(os.Getenv, goruntime.GOOS, os.Geteuid())
}

func resolveHome(env func(string) string, goos string, uid int) (Home, error) {
	h, err := chooseHome(env, goos)
	if err != nil {
		return Home{}, err
	}
	if len(h.Run)+len("/")+longestSocketName > longestSocketPath(goos) {
		sum := sha256.Sum256([]byte(h.State))
		h.Run = filepath.Join(fallbackRoot(uid), hex.EncodeToString(sum[:4]))
	}
	h.Socket = filepath.Join(h.Run, socketName)
	return h, nil
}

// In returns the home of a daemon that supervises another environment of the
// project whose manifest is file: below h, and apart from it in all.
func (h Home) In(environment, file string) Home {
	return h.in(environment, file, goruntime.GOOS, os.Geteuid())
}

func (h Home) in(environment, file, goos string, uid int) Home {
	directory := filepath.Dir(file)
	sum := sha256.Sum256([]byte(directory))
	name := filepath.Base(directory) + "-" + hex.EncodeToString(sum[:4]) + "-" + environment
	state := filepath.Join(h.State, "env", name)
	sum = sha256.Sum256([]byte(state))
	short := hex.EncodeToString(sum[:4])
	own := Home{State: state, Logs: filepath.Join(state, "logs"), Run: filepath.Join(h.Run, "env", short), Explicit: h.Explicit}
	if len(own.Run)+len("/")+longestSocketName > longestSocketPath(goos) {
		own.Run = filepath.Join(fallbackRoot(uid), short)
	}
	own.Socket = filepath.Join(own.Run, socketName)
	return own
}

func chooseHome(env func(string) string, goos string) (Home, error) {
	if dir := env("STEAD_HOME"); dir != "" {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return Home{}, fmt.Errorf("resolve STEAD_HOME: %w", err)
		}
		return Home{State: abs, Logs: filepath.Join(abs, "logs"), Run: filepath.Join(abs, "run"), Explicit: true}, nil
	}
	// The XDG specification wants relative paths ignored; it is right for HOME too.
	user := absolute(env("HOME"))
	var h Home
	switch {
	case goos == "darwin" && user != "":
		h.State = filepath.Join(user, "Library", "Application Support", "stead")
		h.Logs = filepath.Join(user, "Library", "Logs", "stead")
		h.Run = join(absolute(env("TMPDIR")), "stead")
	case goos != "darwin" && absolute(env("XDG_STATE_HOME")) != "":
		h.State = filepath.Join(env("XDG_STATE_HOME"), "stead")
	case goos != "darwin" && user != "":
		h.State = filepath.Join(user, ".local", "state", "stead")
	default:
		return Home{}, runtime.WithHint(
			fmt.Errorf("find a place for stead's state: neither HOME nor STEAD_HOME is set: %w", runtime.Invalid),
			"set HOME, or set STEAD_HOME to a directory that stead may use")
	}
	if goos != "darwin" {
		h.Logs = filepath.Join(h.State, "logs")
		h.Run = join(absolute(env("XDG_RUNTIME_DIR")), "stead")
	}
	if h.Run == "" {
		h.Run = filepath.Join(h.State, "run")
	}
	return h, nil
}

// absolute returns path when it is absolute, else "".
func absolute(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return ""
}

// join is filepath.Join, but "" when there is no directory.
func join(dir, name string) string {
	if dir == "" {
		return ""
	}
	return filepath.Join(dir, name)
}

// longestSocketPath is the size of sun_path without the NUL at its end.
func longestSocketPath(goos string) int {
	if goos == "linux" {
		return 108 - 1 // unix(7)
	}
	return 104 - 1 // the BSDs, macOS
}

// fallbackRoot holds the Run directories whose own place has too long a path.
// It is under /tmp and not $TMPDIR, which may be long itself.
func fallbackRoot(uid int) string { return "/tmp/stead-" + strconv.Itoa(uid) }
