// Package environ finds the environment that a user's services inherit: what
// their login shell sets in a project's directory, and what the terminal has
// that stead was called from.
//
// Capture runs the shell for a moment, and leaves nothing of it behind. The
// rest is plain functions. All may be called concurrently.
package environ

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Origins of a variable, as users read them.
const (
	OriginShell  = "login shell"
	OriginCaller = "caller"
)

// Merge puts the environment of a login shell and that of a caller together.
// The caller's value stands wherever it has one, so that `NAME=value stead up`
// means what it says and a terminal's own environment holds; the shell's adds
// what the caller lacks, which is nearly all when cron, systemd or an editor
// is the caller. There is one exception: the PATH of such a caller has the
// system's directories only, which nobody chose, so the shell's is taken.
//
// The result is sorted; fromShell names those of the shell.
func Merge(shell, caller []string) (merged, fromShell []string) {
	values := Values(caller)
	bare := bare(values)
	for name, value := range Values(shell) {
		_, set := values[name]
		if !set || name == "PATH" && bare {
			values[name] = value
			fromShell = append(fromShell, name)
		}
	}
	for name, value := range values {
		merged = append(merged, name+"="+value)
	}
	slices.Sort(merged)
	slices.Sort(fromShell)
	return merged, fromShell
}

// Values are the variables of a list of NAME=value; the last of a name holds.
func Values(list []string) map[string]string {
	values := make(map[string]string, len(list))
	for _, one := range list {
		if name, value, ok := strings.Cut(one, "="); ok && name != "" {
			values[name] = value
		}
	}
	return values
}

// systemPath are the directories that a system gives whom it starts: those of
// systemd, cron, launchd and login(1) together.
var systemPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// bare reports whether an environment is one that a system starts programs
// with: no terminal, and no directory in PATH but its own.
func bare(values map[string]string) bool {
	if values["TERM"] != "" {
		return false
	}
	return !slices.ContainsFunc(filepath.SplitList(values["PATH"]), func(dir string) bool { return !slices.Contains(systemPath, dir) })
}

// login returns the shell and home of a caller: what its environment says,
// else what the system has noted of the user.
func login(values map[string]string) (shell, home string) {
	shell, home = values["SHELL"], values["HOME"]
	if shell == "" || home == "" {
		text, _ := os.ReadFile("/etc/passwd") // not there (macOS): what is missing stays so
		notedHome, notedShell := noted(string(text), os.Getuid())
		if home == "" {
			home = notedHome
		}
		if shell == "" {
			shell = notedShell
		}
	}
	return shell, home
}
