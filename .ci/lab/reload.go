package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// reloadManifest is of the project whose services are reloaded: a web service
// and a TCP one, each by a save of its own file.
func reloadManifest(o options, r *reloaded) string {
	service := filepath.Join(o.bin, "service")
	return fmt.Sprintf(`name: bench
services:
  web:
    command: [%q, -listen, -notify, %q]
    ports: {http: %d}
    watch: [web.txt, web]
  tcp:
    command: [%q, -echo, -notify, %q]
    ports: {db: {port: %d, protocol: tcp}}
    watch: [tcp.txt, tcp]
`, service, r.web.path, r.webPort, service, r.tcp.path, r.tcpPort)
}

// reloaded is a stead with that project, up.
type reloaded struct {
	*stead
	web, tcp         *announcements
	webPort, tcpPort int
	saves            int
}

func newReloaded(o options) (*reloaded, error) {
	r := &reloaded{}
	var err error
	if r.web, err = listen(); err != nil {
		return nil, err
	}
	if r.tcp, err = listen(); err != nil {
		return nil, err
	}
	ports, err := freePorts(2)
	if err != nil {
		return nil, err
	}
	r.webPort, r.tcpPort = ports[0], ports[1]
	if r.stead, err = newStead(o, reloadManifest(o, r)); err != nil {
		return nil, err
	}
	for _, name := range []string{"web", "tcp"} {
		if err := errors.Join(r.save(name), os.Mkdir(filepath.Join(r.dir, name), 0o755)); err != nil {
			return nil, err
		}
	}
	_, err = r.run("up", "-d")
	if err == nil {
		err = errors.Join(r.web.wait(1, time.Minute), r.tcp.wait(1, time.Minute))
	}
	if err != nil {
		r.end()
		return nil, err
	}
	return r, nil
}

func (r *reloaded) end() {
	_, _, _ = r.stead.end()
	r.web.close()
	r.tcp.close()
}

// save changes a service's file as an editor would: a new file in its place.
func (r *reloaded) save(name string) error {
	put, err := r.edit(name)
	if err != nil {
		return err
	}
	return put()
}

// edit writes the new file; put is what makes it the service's.
func (r *reloaded) edit(name string) (put func() error, err error) {
	r.saves++
	path := filepath.Join(r.dir, name+".txt")
	if err := os.WriteFile(path+"~", []byte(strconv.Itoa(r.saves)), 0o644); err != nil {
		return nil, err
	}
	return func() error { return os.Rename(path+"~", path) }, nil
}

// saveNew makes a file that was not there before. A file that is saved while
// each reload of it is under way, in one reload after another, is taken for the
// service's own output after four times; here, saves come as they like.
func (r *reloaded) saveNew(name string) error {
	r.saves++
	path := filepath.Join(r.dir, name, strconv.Itoa(r.saves)+".txt")
	if err := os.WriteFile(path+"~", []byte(strconv.Itoa(r.saves)), 0o644); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// lookAgain is a thirtieth of what is measured.
const lookAgain = 200 * time.Microsecond

// until asks until another process than before answers.
func until(address, before string) (string, error) {
	limit := time.Now().Add(time.Minute)
	for time.Now().Before(limit) {
		res, err := http.Get("http://" + address + "/")
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			return "", err
		}
		if res.StatusCode == http.StatusOK && string(text) != before {
			return string(text), nil
		}
		time.Sleep(lookAgain) // who asks without a pause takes half of the machine
	}
	return "", fmt.Errorf("after a minute %s is still answered by %q", address, before)
}

// save: a save of a watched file until the new process answers, beside a bare
// fork, exec and the service's own boot.
func save(o options, v *verdicts) error {
	r, err := newReloaded(o)
	if err != nil {
		return err
	}
	defer r.end()
	a, err := listen()
	if err != nil {
		return err
	}
	defer a.close()
	pid, err := until(local(r.webPort), "")
	if err != nil {
		return err
	}
	var bare, ours sample
	for range o.samples {
		time.Sleep(50 * time.Millisecond) // the one before is being stopped
		put, err := r.edit("web")
		if err != nil {
			return err
		}
		began := time.Now()
		if err := put(); err != nil {
			return err
		}
		if err := r.web.wait(1, time.Minute); err != nil {
			return err
		}
		if pid, err = until(local(r.webPort), pid); err != nil {
			return err
		}
		ours = append(ours, time.Since(began))
		took, err := bareStart(o, a)
		if err != nil {
			return err
		}
		bare = append(bare, took)
	}
	fmt.Printf("save -> new process answers, no build\n  floor  %v\n  stead  %v\n", bare, ours)
	v.check("p50 <= floor + 10 ms", ours.percentile(50) <= bare.percentile(50)+10*time.Millisecond)
	v.check("p95 <= floor + 20 ms", ours.percentile(95) <= bare.percentile(95)+20*time.Millisecond)
	return compare(o, v, newText)
}

// bareStart is fork, exec, and the service's boot until it answers.
func bareStart(o options, a *announcements) (time.Duration, error) {
	f, err := newFloor()
	if err != nil {
		return 0, err
	}
	defer f.end()
	ports, err := freePorts(1)
	if err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := f.start(o, ports[0], a.path); err != nil {
		return 0, err
	}
	if err := a.wait(1, time.Minute); err != nil {
		return 0, err
	}
	_, err = until(local(ports[0]), "")
	return time.Since(began), err
}

// lost: reloads under constant load; nobody may be turned away.
func lost(o options, v *verdicts) error {
	for _, killed := range []bool{false, true} {
		if err := reloads(o, v, killed); err != nil {
			return err
		}
	}
	return nil
}

// The daemon is killed every three seconds, and killsAtLeast times where the
// reloads are over sooner.
const (
	killEvery    = 3 * time.Second
	killsAtLeast = 5
)

func reloads(o options, v *verdicts, killed bool) error {
	r, err := newReloaded(o)
	if err != nil {
		return err
	}
	defer r.end()
	c, err := startCallers(local(r.webPort), local(r.tcpPort), o.rate)
	if err != nil {
		return err
	}
	kills, last, lastAt := 0, time.Now(), 0
	began := time.Now()
	for i := range o.reloads {
		name, told := "web", r.web
		if i%4 == 3 {
			name, told = "tcp", r.tcp
		}
		if err = r.saveNew(name); err != nil {
			break
		}
		if err = told.wait(1, time.Minute); err != nil {
			err = fmt.Errorf("reload %d of %s: %w", i+1, name, err)
			break
		}
		if killed && (time.Since(last) > killEvery || (i-lastAt)*killsAtLeast >= o.reloads) {
			if err = r.killDaemon(); err != nil {
				break
			}
			kills, last, lastAt = kills+1, time.Now(), i
		}
		time.Sleep(20 * time.Millisecond) // routed, and the next is another reload
	}
	took := time.Since(began)
	fmt.Printf("%d reloads in %.1f s at %d requests/s, the daemon killed %d times\n", o.reloads, took.Seconds(), o.rate, kills)
	answered, failed := c.end()
	if err != nil {
		return err
	}
	v.check("every request is answered", len(failed) == 0 && answered > 0)
	v.check("TCP connections refused: 0", c.refused == 0)
	return nil
}

// killDaemon kills the daemon, and returns when the next one is there.
func (r *reloaded) killDaemon() error {
	pids, err := r.pids()
	if err != nil {
		return err
	}
	if pids[0] <= 0 {
		return errors.New("there is no daemon to kill")
	}
	if err := syscall.Kill(pids[0], syscall.SIGKILL); err != nil {
		return err
	}
	_, err = r.call(patience, "status") // brings it back
	return err
}
