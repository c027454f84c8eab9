package ipc

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

func TestResolveHome(t *testing.T) {
	long := "/" + strings.Repeat("d", 80)
	cases := []struct {
		name, goos string
		env        map[string]string
		want       Home
	}{
		{"explicit", "linux", map[string]string{"STEAD_HOME": "/h/", "HOME": "/home/u"},
			Home{"/h", "/h/logs", "/h/run", "/h/run/stead.sock", true}},
		{"xdg", "linux", map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/st", "XDG_RUNTIME_DIR": "/run/user/7"},
			Home{"/st/stead", "/st/stead/logs", "/run/user/7/stead", "/run/user/7/stead/stead.sock", false}},
		{"no runtime dir", "linux", map[string]string{"HOME": "/home/u"},
			Home{"/home/u/.local/state/stead", "/home/u/.local/state/stead/logs", "/home/u/.local/state/stead/run", "/home/u/.local/state/stead/run/stead.sock", false}},
		{"relative xdg is ignored", "linux", map[string]string{"HOME": "/u", "XDG_STATE_HOME": "st", "XDG_RUNTIME_DIR": "r"},
			Home{"/u/.local/state/stead", "/u/.local/state/stead/logs", "/u/.local/state/stead/run", "/u/.local/state/stead/run/stead.sock", false}},
		{"no home but xdg", "linux", map[string]string{"XDG_STATE_HOME": "/st"},
			Home{"/st/stead", "/st/stead/logs", "/st/stead/run", "/st/stead/run/stead.sock", false}},
		{"mac", "darwin", map[string]string{"HOME": "/Users/u", "TMPDIR": "/var/folders/x/T/"},
			Home{"/Users/u/Library/Application Support/stead", "/Users/u/Library/Logs/stead", "/var/folders/x/T/stead", "/var/folders/x/T/stead/stead.sock", false}},
		{"mac without TMPDIR", "darwin", map[string]string{"HOME": "/Users/u"},
			Home{"/Users/u/Library/Application Support/stead", "/Users/u/Library/Logs/stead", "/Users/u/Library/Application Support/stead/run", "/Users/u/Library/Application Support/stead/run/stead.sock", false}},
		{"too long", "linux", map[string]string{"STEAD_HOME": long},
			Home{long, long + "/logs", "/tmp/stead-7/6941d5fa", "/tmp/stead-7/6941d5fa/stead.sock", true}},
	}
	for _, c := range cases {
		got, err := resolveHome(func(k string) string { return c.env[k] }, c.goos, 7)
		if err != nil || got != c.want {
			t.Errorf("%s:\n got %+v, %v\nwant %+v", c.name, got, err, c.want)
		}
	}
	for _, goos := range []string{"linux", "darwin"} {
		_, err := resolveHome(func(string) string { return "" }, goos, 7)
		if !errors.Is(err, runtime.Invalid) || !strings.Contains(runtime.Hint(err), "STEAD_HOME") {
			t.Errorf("%s without HOME: %v", goos, err)
		}
	}
}

// TestRunLeavesRoomForSockets: the fallback begins exactly where the longest
// name would not fit any more.
func TestRunLeavesRoomForSockets(t *testing.T) {
	for n := 1; n < 120; n++ {
		dir := "/" + strings.Repeat("d", n)
		for goos, size := range map[string]int{"linux": 108, "darwin": 104} {
			h, err := resolveHome(func(k string) string { return map[string]string{"STEAD_HOME": dir}[k] }, goos, 4294967294)
			if err != nil {
				t.Fatal(err)
			}
			if used := len(h.Run) + len("/") + 30 + 1; used > size {
				t.Errorf("%s: %s leaves no room: %d", goos, h.Run, used)
			}
			fits := len(dir+"/run/")+30+1 <= size
			if kept := h.Run == dir+"/run"; kept != fits {
				t.Errorf("%s: %d: kept %v, fits %v", goos, n, kept, fits)
			}
		}
	}
}

func homeIn(dir string) Home {
	return Home{State: filepath.Join(dir, "a", "state"), Logs: filepath.Join(dir, "a", "state", "logs"),
		Run: filepath.Join(dir, "run"), Socket: filepath.Join(dir, "run", socketName)}
}

func TestMakeCreatesPrivateDirectories(t *testing.T) {
	dir := t.TempDir()
	h := homeIn(dir)
	if err := os.Mkdir(h.Run, 0o755); err != nil { // one that is there already is made private
		t.Fatal(err)
	}
	for range 2 {
		if err := h.Make(); err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{h.State, h.Logs, h.Run, filepath.Join(dir, "a")} {
		if info, err := os.Stat(d); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s: %v %v", d, info.Mode(), err)
		}
	}
}

func TestMakeRefuses(t *testing.T) {
	cases := []struct {
		name  string
		spoil func(t *testing.T, h Home)
		text  string
	}{
		{"writable by others", func(t *testing.T, h Home) { check(t, os.MkdirAll(h.State, 0o700), os.Chmod(h.State, 0o777)) }, "chmod go-w"},
		{"run writable by a group", func(t *testing.T, h Home) { check(t, os.Mkdir(h.Run, 0o700), os.Chmod(h.Run, 0o770)) }, "other users may write"},
		{"a file", func(t *testing.T, h Home) { check(t, os.WriteFile(h.Run, nil, 0o600)) }, "STEAD_HOME"},
		{"run is a link", func(t *testing.T, h Home) {
			check(t, os.Mkdir(h.Run+"2", 0o700), os.Symlink(h.Run+"2", h.Run))
		}, "not a directory"},
		{"of somebody else", func(t *testing.T, h Home) {
			if os.Geteuid() != 0 {
				t.Skip("not root")
			}
			check(t, os.MkdirAll(h.State, 0o700), os.Chown(h.State, 65534, 65534))
		}, "belongs to user 65534"},
		{"no permission", func(t *testing.T, h Home) {
			if os.Geteuid() == 0 {
				t.Skip("root may")
			}
			check(t, os.Chmod(filepath.Dir(h.Run), 0o500))
		}, "permission denied"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := homeIn(t.TempDir())
			c.spoil(t, h)
			err := h.Make()
			if err == nil || runtime.Hint(err) == "" || !strings.Contains(err.Error()+runtime.Hint(err), c.text) {
				t.Errorf("got %v, hint %q", err, runtime.Hint(err))
			}
		})
	}
}

func TestMakeExplains(t *testing.T) {
	for errno, text := range map[syscall.Errno]string{syscall.EROFS: "file system is read-only", syscall.ENOSPC: "disk is full", syscall.EACCES: "STEAD_HOME"} {
		err := explainMake("/d", &os.PathError{Op: "mkdir", Path: "/d", Err: errno})
		if !strings.Contains(runtime.Hint(err), text) || !errors.Is(err, errno) {
			t.Errorf("%v: %v, hint %q", errno, err, runtime.Hint(err))
		}
	}
}

func check(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}
