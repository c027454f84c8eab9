package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// published is a homestead with an HTTP and a TCP service behind the gateway.
type published struct {
	*homestead
	web, tcp int // ports
}

const publishedManifest = `
services:
  web: {command: service -listen, ports: {http: %d}, watch: [trigger], drain: 10m}
  db: {command: service -echo, ports: {db: {port: %d, protocol: tcp}}, drain: 10m}
`

func newPublished(t *testing.T) *published {
	t.Helper()
	web, tcp := calmPort(t), calmPort(t)
	h := newHomestead(t, fmt.Sprintf(publishedManifest, web, tcp))
	h.write("trigger", "1")
	h.ok("up", "-d")
	return &published{h, web, tcp}
}

// calmPort returns a free port below those that outgoing connections and stead
// itself choose from: a load takes many of these.
func calmPort(t *testing.T) int {
	t.Helper()
	for range 100 {
		port := 10_000 + rand.N(8_000)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

// the returns the pids of this home's processes of a program.
func (h *homestead) the(name string) []int {
	return slices.DeleteFunc(processesOf(h.dir), func(pid int) bool { return program(pid) != name || !lives(pid) })
}

func program(pid int) string {
	text, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")) // it may have ended
	name, _, _ := strings.Cut(string(text), "\x00")
	return filepath.Base(name)
}

// only returns the one process of a program.
func (h *homestead) only(name string) int {
	h.Helper()
	h.until("one "+name, patience, func() bool { return len(h.the(name)) == 1 })
	return h.the(name)[0]
}

// TestADaemonIsKilledUnderLoad, at rest and in the middle of a reload: nobody
// who calls notices, and the next daemon has it all.
func TestADaemonIsKilledUnderLoad(t *testing.T) {
	h := newPublished(t)
	events, echo := openEvents(t, h.web), openEcho(t, h.tcp)
	events.flows()
	load := callAll(t, h.web, h.tcp)
	gateway := h.only("stead-gateway")
	daemon, spine := h.daemons()
	kill(t, daemon)
	load.more(10) // without a daemon
	web := h.pid("web")
	daemon, _ = h.daemons()
	h.write("trigger", "2")
	h.until("a reload has begun", patience, func() bool { return len(h.the("service")) > 2 || h.pid("web") != web })
	kill(t, daemon)
	load.more(10)
	h.until("the next daemon reloads to the end", callLimit, func() bool {
		web := h.status()["web"]
		return web.Generation == 2 && web.Phase == "ready"
	})
	load.more(10)
	events.flows()
	echo.flows()
	load.none()
	if _, now := h.daemons(); now != spine || h.only("stead-gateway") != gateway {
		t.Error("runtime or gateway are others")
	}
}

// TestADaemonIsUpgradedUnderLoad: with the gateway that comes with it.
func TestADaemonIsUpgradedUnderLoad(t *testing.T) {
	next := t.TempDir()
	build := exec.Command("go", "build", "-o", next+"/", "-ldflags", "-X main.version=next", "./cmd/steadd", "./cmd/stead-gateway")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, name := range []string{"stead", "stead-runtime-process"} {
		if err := os.Symlink(filepath.Join(bin, name), filepath.Join(next, name)); err != nil {
			t.Fatal(err)
		}
	}
	h := newPublished(t)
	load := callAll(t, h.web, h.tcp)
	old := h.only("stead-gateway")
	web := h.pid("web")
	h.ok("daemon", "stop")
	daemon := h.command("daemon", "run")
	daemon.Path = filepath.Join(next, "steadd")
	daemon.Args = []string{"steadd"}
	daemon.Stderr = t.Output()
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
	})
	h.until("another gateway serves, and the old one is gone", callLimit, func() bool {
		now := h.the("stead-gateway")
		return len(now) == 1 && now[0] != old
	})
	load.more(10)
	load.none()
	if h.pid("web") != web {
		t.Error("a service was touched")
	}
}

// TestAGatewayIsKilledUnderLoad while there is no daemon: the runtime brings
// it back, it knows where to, and nobody who comes meanwhile is refused.
func TestAGatewayIsKilledUnderLoad(t *testing.T) {
	h := newPublished(t)
	load := callAll(t, h.web, h.tcp)
	h.until("the routes are kept", patience, func() bool {
		text, _ := os.ReadFile(filepath.Join(h.home, "gateway", "routes.json"))
		return strings.Count(string(text), `"state":"serving"`) == 2
	})
	daemon, _ := h.daemons()
	kill(t, daemon)
	for range 3 {
		kill(t, h.only("stead-gateway"))
		load.more(5)
	}
	if n := len(h.the("steadd")); n != 0 {
		t.Errorf("there are %d daemons", n)
	}
	load.onlyCut()
	load = callAll(t, h.web, h.tcp)
	h.ok("status") // brings a daemon back, which takes over what it finds
	h.write("trigger", "2")
	h.until("a reload", callLimit, func() bool { return h.status()["web"].Generation == 2 })
	load.more(5)
	load.none()
}

// TestAStateIsLostUnderLoad: a daemon that knows nothing cuts nobody off, and
// the next up has the services again.
func TestAStateIsLostUnderLoad(t *testing.T) {
	h := newPublished(t)
	load := callAll(t, h.web, h.tcp)
	echo := openEcho(t, h.tcp)
	web, gateway := h.pid("web"), h.only("stead-gateway")
	daemon, _ := h.daemons()
	kill(t, daemon)
	if err := os.WriteFile(filepath.Join(h.home, "stead.db"), []byte(strings.Repeat("rust", 9000)), 0o600); err != nil {
		t.Fatal(err)
	}
	h.until("the damage is said", patience, func() bool { return strings.Contains(h.ok("status"), "was damaged") })
	load.more(10)
	h.ok("up", "-d")
	load.more(10)
	echo.flows()
	load.none()
	if h.pid("web") != web || h.only("stead-gateway") != gateway {
		t.Errorf("a process was touched: web %d, now %d, gateway %d, now %d", web, h.pid("web"), gateway, h.only("stead-gateway"))
	}
	h.write("trigger", "2")
	h.until("it reloads as before", callLimit, func() bool { return h.status()["web"].Generation == 2 })
}

// TestARuntimeIsKilledUnderLoad: all it ran is lost, and nothing of that stays.
// But the ports are open all the time, and whoever calls is answered by what
// comes next.
func TestARuntimeIsKilledUnderLoad(t *testing.T) {
	h := newPublished(t)
	load := callAll(t, h.web, h.tcp)
	_, spine := h.daemons()
	old := append(h.the("service"), h.the("stead-gateway")...)
	if len(old) != 3 {
		t.Fatalf("processes %v", old)
	}
	kill(t, spine)
	h.until("the old processes are gone", callLimit, func() bool { return !slices.ContainsFunc(old, lives) })
	load.more(10)
	load.onlyCut()
	if _, now := h.daemons(); now == spine {
		t.Error("it is the same runtime")
	}
	for _, name := range []string{"web", "db"} {
		if s := h.status()[name]; s.Phase != "ready" {
			t.Errorf("%+v", s)
		}
	}
}

// TestPortsAreFreeAfterwards: those of one project when that goes down, all
// when everything stops.
func TestPortsAreFreeAfterwards(t *testing.T) {
	h := newPublished(t)
	other := calmPort(t)
	dir := filepath.Join(h.dir, "other")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	h.write("other/stead.yaml", fmt.Sprintf("services: {api: {command: service -listen, ports: {http: %d}}}\n", other))
	in := func(args ...string) {
		cmd := h.command(args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	in("up", "-d")
	load := callAll(t, h.web, h.tcp)
	callAll(t, other, 0).none()
	in("down")
	takeAndLeave(t, other)
	load.more(5)
	in("up", "-d")
	callAll(t, other, 0).none()
	load.more(5)
	load.mu.Lock()
	if len(load.lost) != 0 {
		t.Errorf("lost: %v", load.lost)
	}
	load.mu.Unlock()
	h.ok("daemon", "stop", "--services")
	for _, port := range []int{h.web, h.tcp, other} {
		takeAndLeave(t, port)
	}
	if left := processesOf(h.dir); slices.ContainsFunc(left, lives) {
		t.Errorf("processes are left: %v", left)
	}
}

// TestDownFreesPorts: what binds the port of a service right after down has it.
func TestDownFreesPorts(t *testing.T) {
	one, other := calmPort(t), calmPort(t)
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen, ports: {http: %d}}
  lazy: {command: service -listen, ports: {http: %d}, start: on-demand}
`, one, other))
	for range 20 {
		h.ok("up", "-d")
		if answer, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", one)); err != nil {
			t.Errorf("%q, %v", answer, err)
		}
		h.ok("down")
		for _, port := range []int{one, other} {
			for _, host := range []string{"127.0.0.1", "::1"} {
				l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
				if errors.Is(err, syscall.EADDRINUSE) {
					t.Fatal(err)
				} else if err == nil {
					_ = l.Close()
				}
			}
		}
	}
}

// takeAndLeave binds a port in both families, and fails when it does not become
// free: the gateway lets go of it a moment after the last service has ended.
func takeAndLeave(t *testing.T, port int) {
	t.Helper()
	for _, host := range []string{"127.0.0.1", "::1"} {
		address := net.JoinHostPort(host, strconv.Itoa(port))
		l, err := net.Listen("tcp", address)
		for end := time.Now().Add(patience); errors.Is(err, syscall.EADDRINUSE) && time.Now().Before(end); l, err = net.Listen("tcp", address) {
			time.Sleep(10 * time.Millisecond)
		}
		switch {
		case err == nil:
			_ = l.Close()
		case errors.Is(err, syscall.EADDRNOTAVAIL): // a machine without IPv6
		default:
			t.Errorf("port %d is not free: %v", port, err)
		}
	}
}
