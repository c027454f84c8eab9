package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// saveFile is a save that really changes a file.
func (h *homestead) saveFile(name string) {
	h.Helper()
	path := filepath.Join(h.dir, name)
	text, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		h.Fatal(err)
	}
	if err := os.WriteFile(path, append(text, "a line\n"...), 0o600); err != nil {
		h.Fatal(err)
	}
}

// reaches waits until a generation of a service is ready, and no other is there.
func (h *homestead) reaches(service string, generation int) {
	h.Helper()
	h.until(fmt.Sprintf("%s reaches generation %d", service, generation), patience, func() bool {
		s := h.status()[service]
		return s.Phase == "ready" && s.Generation == generation
	})
}

// Who calls while a service is restarted waits, and is answered by the new one,
// also where the service insists on a port or has data.
func TestRestartHoldsCallers(t *testing.T) {
	ports := map[string]int{"plain": freePort(), "insists": freePort(), "data": freePort()}
	h := newHomestead(t, fmt.Sprintf(`
services:
  plain: {command: service -listen -delay 1s, ports: {http: %d}, watch: [plain.txt], reload: restart}
  insists: {command: service -listen -delay 1s -port %[4]d, ports: {http: "%[2]d:%[4]d"}, watch: [insists.txt]}
  data: {command: service -listen -delay 1s, ports: {http: %[3]d}, watch: [data.txt], data: {it: var}}
`, ports["plain"], ports["insists"], ports["data"], freePort()))
	h.write("plain.txt", "")
	h.write("insists.txt", "")
	h.write("data.txt", "")
	h.ok("up", "-d")
	var callers sync.WaitGroup
	for service, port := range ports {
		callers.Go(func() {
			h.saveFile(service + ".txt")
			h.until(service+" is on its way", patience, func() bool { // or there already, on a slow machine
				s := h.status()[service]
				return s.Phase != "ready" || s.Generation == 2
			})
			answer, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", port))
			if err != nil || !strings.HasSuffix(answer, "/"+service+"/2/0/1") {
				t.Errorf("%s: %q, %v", service, answer, err)
			}
		})
	}
	callers.Wait()
}

// While a new generation gets ready, saves replace it: never more than one is
// unready, and the old one serves.
func TestSavesDuringAReload(t *testing.T) {
	port := freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen -delay 1500ms, ports: {http: %d}, watch: [web.txt]}
`, port))
	h.write("web.txt", "")
	h.ok("up", "-d")
	for range 5 {
		h.saveFile("web.txt")
		for range 10 {
			alive := 0
			for _, one := range h.status()["web"].Instances {
				if one.PID != 0 && one.Phase != "stopping" && one.Phase != "draining" {
					alive++
				}
			}
			if alive > 2 {
				t.Errorf("%d instances live", alive)
			}
			if _, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", port)); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.until("the last save is served", patience, func() bool {
		s := h.status()["web"]
		return s.Phase == "ready" && s.Generation > 1 && len(s.Instances) == 1
	})
}

// A request that takes a minute has until the drain limit.
func TestDrainIsCut(t *testing.T) {
	port := freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen, ports: {http: %d}, watch: [web.txt], drain: 1s}
`, port))
	h.write("web.txt", "")
	h.ok("up", "-d")
	old := h.pid("web")
	c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "GET /slow?for=300s&head=1 HTTP/1.1\r\nHost: web\r\n\r\n")
	_ = c.SetReadDeadline(time.Now().Add(2 * patience))
	r := bufio.NewReader(c)
	if first, err := r.ReadString('\n'); err != nil || !strings.Contains(first, "200") {
		t.Fatalf("%q, %v", first, err)
	}
	h.saveFile("web.txt")
	h.reaches("web", 2)
	if _, err := io.ReadAll(r); err != nil && os.IsTimeout(err) {
		t.Error("it was not cut")
	}
	h.until("the old process ends", patience, func() bool { return ended(old) })
}

// A browser holds its connection for hot module replacement over many saves:
// no pile of old generations grows, and each new connection finds the newest.
func TestWebSocketsOverTenSaves(t *testing.T) {
	port := freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen, ports: {http: %d}, watch: [web.txt], drain: 60s}
`, port))
	h.write("web.txt", "")
	h.ok("up", "-d")
	open := func() net.Conn {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		fmt.Fprint(c, "GET /socket HTTP/1.1\r\nHost: web\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "101") {
			t.Fatalf("%q, %v", line, err)
		}
		return c
	}
	open()
	for n := range 10 {
		h.saveFile("web.txt")
		h.reaches("web", n+2)
		open()
		h.until("at most one drains", patience, func() bool { return len(h.status()["web"].Instances) <= 2 })
	}
}

// With a socket of its own a service overlaps without anybody in between.
func TestInheritLosesNothing(t *testing.T) {
	port := freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen -inherit -say READY=1, ports: {http: {port: %d, mode: inherit}}, ready: notify, watch: [web.txt]}
`, port))
	h.write("web.txt", "")
	h.ok("up", "-d")
	stop := make(chan struct{})
	var callers sync.WaitGroup
	var answered atomic.Int64
	for range 4 {
		callers.Go(func() { // ends with stop
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/slow?for=2ms", port)); err != nil {
					t.Error(err)
					return
				}
				answered.Add(1)
			}
		})
	}
	for n := range 20 {
		h.saveFile("web.txt")
		h.reaches("web", n+2)
	}
	close(stop)
	callers.Wait()
	t.Logf("%d answers", answered.Load())
}

// One that listens itself is restarted: two could not be there at once.
func TestSelfIsRestarted(t *testing.T) {
	port := freePort()
	h := newHomestead(t, fmt.Sprintf(`
services:
  web: {command: service -listen, ports: {http: {port: %d, mode: self}}, watch: [web.txt]}
`, port))
	h.write("web.txt", "")
	h.ok("up", "-d")
	for n := range 3 {
		h.saveFile("web.txt")
		h.reaches("web", n+2)
		answer, err := ask(newClient(), fmt.Sprintf("http://127.0.0.1:%d/", port))
		if want := fmt.Sprintf("/web/%d/0/1", n+2); err != nil || !strings.HasSuffix(answer, want) {
			t.Errorf("%q, %v, want %s", answer, err, want)
		}
	}
}

// File names may hold anything: what is said of them stays one line each, and
// valid.
func TestOddFileNames(t *testing.T) {
	h := newHomestead(t, `
services:
  web: {command: service, watch: [src]}
`)
	src := filepath.Join(h.dir, "src")
	if err := os.Mkdir(src, 0o700); err != nil {
		t.Fatal(err)
	}
	h.ok("up", "-d")
	for n, name := range []string{"new\nline", "not \xff\xfe utf-8", "\x1b[2Jescape", "tab\t and \"quote\""} {
		h.saveFile(filepath.Join("src", name))
		h.until("reload by "+fmt.Sprintf("%q", name), patience, func() bool { return h.status()["web"].Generation == n+2 })
	}
	for _, command := range [][]string{{"events"}, {"events", "--output", "json"}, {"why", "web"}, {"status"}} {
		out := h.ok(command...)
		if !slices.Equal([]byte(out), bytes.ToValidUTF8([]byte(out), nil)) || strings.Contains(out, "\x1b") {
			t.Errorf("%v: %q", command, out)
		}
		if strings.Contains(out, "\nline") {
			t.Errorf("%v breaks a line: %q", command, out)
		}
	}
}

// A directory that is watched may go, and come again.
func TestWatchedDirectoryVanishes(t *testing.T) {
	h := newHomestead(t, `
services:
  web: {command: service, watch: [conf]}
`)
	conf := filepath.Join(h.dir, "conf")
	if err := os.Mkdir(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	h.saveFile("conf/a.txt")
	h.ok("up", "-d")
	h.saveFile("conf/a.txt")
	h.reaches("web", 2)
	if err := os.RemoveAll(conf); err != nil {
		t.Fatal(err)
	}
	h.until("it is said", patience, func() bool { return strings.Contains(h.ok("events"), "conf") })
	t.Log(h.ok("events"))
	before := h.status()["web"].Generation
	if err := os.Mkdir(conf, 0o700); err != nil {
		t.Fatal(err)
	}
	h.saveFile("conf/b.txt")
	h.until("a save in the new one is seen", patience, func() bool { return h.status()["web"].Generation > before })
}
