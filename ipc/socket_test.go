package ipc_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/runtime"
)

func TestListenMakesAPrivateSocketAndRemovesIt(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	l, err := ipc.Listen(path)
	must(t, err)
	info, err := os.Lstat(path)
	must(t, err)
	if info.Mode() != os.ModeSocket|0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	must(t, l.Close())
	must(t, l.Close()) // twice is once
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after Close: %v", err)
	}
}

func TestListenNeverTakesALiveSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	first, err := ipc.Listen(path)
	must(t, err)
	defer first.Close()
	_, err = ipc.Listen(path)
	if !errors.Is(err, runtime.Conflict) || !strings.Contains(runtime.Hint(err), "stead daemon stop") {
		t.Errorf("second: %v, hint %q", err, runtime.Hint(err))
	}
	conn, err := net.Dial("unix", path)
	must(t, err)
	must(t, conn.Close())
}

func TestListenTakesTheSocketOfADeadDaemon(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	dead.SetUnlinkOnClose(false)
	must(t, dead.Close())
	l, err := ipc.Listen(path)
	must(t, err)
	must(t, l.Close())
}

func TestListenLeavesOtherFilesAlone(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	must(t, os.WriteFile(path, []byte("mine"), 0o600))
	if _, err := ipc.Listen(path); !errors.Is(err, runtime.Conflict) {
		t.Errorf("got %v", err)
	}
	if text, _ := os.ReadFile(path); string(text) != "mine" {
		t.Errorf("the file now holds %q", text)
	}
}

// TestCloseLeavesASuccessorsSocket: the files of a daemon that was replaced
// by hand are not its own any more.
func TestCloseLeavesASuccessorsSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	old, err := ipc.Listen(path)
	must(t, err)
	must(t, os.Rename(path, path+".old"))
	successor, err := ipc.Listen(path)
	must(t, err)
	defer successor.Close()
	must(t, old.Close())
	conn, err := net.Dial("unix", path)
	must(t, err)
	must(t, conn.Close())
}

func TestOfManyThatListenAtOnceOneWins(t *testing.T) {
	path := filepath.Join(shortDir(t), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	dead.SetUnlinkOnClose(false)
	must(t, dead.Close())
	const n = 8
	won := make(chan net.Listener, n)
	lost := make(chan error, n)
	for range n {
		go func() {
			if l, err := ipc.Listen(path); err != nil {
				lost <- err
			} else {
				won <- l
			}
		}()
	}
	for range n - 1 {
		if err := <-lost; !errors.Is(err, runtime.Conflict) {
			t.Errorf("lost by %v", err)
		}
	}
	must(t, (<-won).Close())
}

func TestListenRefusesALongPath(t *testing.T) {
	_, err := ipc.Listen("/tmp/" + strings.Repeat("x", 108))
	if !errors.Is(err, runtime.Invalid) || !strings.Contains(err.Error(), "bytes") || runtime.Hint(err) == "" {
		t.Errorf("got %v", err)
	}
	_, err = ipc.Listen(filepath.Join(shortDir(t), "gone", "s"))
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
}
