package main_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// delve finds the debugger, where make bin/tools/dlv has left it or in PATH.
func delve(t *testing.T) string {
	t.Helper()
	if path, err := filepath.Abs("../../bin/tools/dlv"); err == nil {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	path, err := exec.LookPath("dlv")
	if err != nil {
		t.Skip("needs: dlv")
	}
	return path
}

// A service that delve has attached to is shown, and is not reloaded by a save
// before delve lets go of it.
func TestSaveUnderDelveWaits(t *testing.T) {
	dlv := delve(t)
	port := freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen, ports: {http: %d}, watch: [web.txt], live: {http: /, interval: 200ms, timeout: 200ms, failures: 2}}
`, port))
	h.write("web.txt", "")
	h.ok("up", "-d")
	pid := h.pid("web")

	debugger := exec.Command(dlv, "attach", strconv.Itoa(pid), "--headless", "--listen=127.0.0.1:0", "--accept-multiclient")
	debugger.Dir, debugger.Env = h.dir, append(os.Environ(), "HOME="+h.dir)
	debugger.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's interrupt is not for it
	var said strings.Builder
	debugger.Stdout, debugger.Stderr = &said, &said
	if err := debugger.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- debugger.Wait() }() // ends with the debugger
	defer func() {
		_ = debugger.Process.Kill()
		<-gone
	}()
	want := fmt.Sprintf("traced by dlv (pid %d)", debugger.Process.Pid)
	h.until(want, 2*patience, func() bool {
		select {
		case err := <-gone:
			gone <- err
			t.Fatalf("dlv ended: %v: %s", err, said.String())
		default:
		}
		return h.status()["web"].Halted == want
	})
	if out := h.ok("status"); !strings.Contains(out, want) {
		t.Errorf("status: %s", out)
	}

	h.saveFile("web.txt")
	h.until("the save is said", patience, func() bool {
		return strings.Contains(h.ok("events"), "web.txt changed, but it is "+want+": it is reloaded when that lets go")
	})
	time.Sleep(time.Second) // several liveness probes, which nobody answers
	if s := h.status()["web"]; s.Generation != 1 || s.Restarts != 0 || len(s.Instances) != 1 || s.Instances[0].PID != pid {
		t.Errorf("below the debugger: %+v", s)
	}

	// One that dies has let go: the kernel detaches, and has the process go on.
	if err := debugger.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	h.reaches("web", 2)
	if answer, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", port)); err != nil || !strings.HasSuffix(answer, "/web/2/0/1") {
		t.Errorf("%q, %v", answer, err)
	}
}

// `dlv exec` as the service's command: the program is a child of the debugger.
func TestServiceBelowDelve(t *testing.T) {
	dlv := delve(t)
	h := newHomestead(t, fmt.Sprintf(`
services:
  web:
    command: [%q, exec, --headless, --listen=127.0.0.1:0, --accept-multiclient, %q, --, -listen]
    ports: {http: auto}
    restart: no
    watch: [web.txt]
`, dlv, filepath.Join(bin, "service")))
	h.write("web.txt", "")
	up, code := h.stead("up", "-d", "--timeout", "1s") // it waits for somebody to say go on
	if code != 4 {
		t.Errorf("up ended with %d: %s", code, up)
	}
	h.until("the debugger holds it", 2*patience, func() bool { return strings.HasPrefix(h.status()["web"].Halted, "traced by dlv") })
	if out := h.ok("why", "web"); !strings.Contains(out, "web stands still: it is traced by dlv") {
		t.Errorf("why: %s", out)
	}
	h.saveFile("web.txt")
	h.until("the save waits", patience, func() bool { return strings.Contains(h.ok("events"), "it is reloaded when that lets go") })
	if s := h.status()["web"]; s.Generation != 1 || s.Phase != "starting" {
		t.Errorf("%+v", s)
	}
	h.ok("down")
}
