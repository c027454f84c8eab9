package systemd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSystemd installs stead as a package would, in a machine that really
// boots systemd, and has an ordinary user use it, whose manager runs without a
// login. The parts build on one another: each finds stead as it was left.
func TestSystemd(t *testing.T) {
	m := boot(t)
	install(t, m)
	for _, part := range []struct {
		name string
		test func(*testing.T, *machine)
	}{
		{"UpStartsTheUnit", upStartsTheUnit},
		{"ScopeOfItsOwn", scopeOfItsOwn},
		{"ServicesOutliveTheDaemon", servicesOutliveTheDaemon},
		{"KilledRuntimeIsReplaced", killedRuntimeIsReplaced},
		{"DownEndsTrees", downEndsTrees},
		{"StopLeavesNothing", stopLeavesNothing},
		{"ManagerEndsQuickly", managerEndsQuickly},
		{"HangingSystemdRun", hangingSystemdRun},
		{"WithoutABus", withoutABus},
		{"SystemUnit", systemUnit},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.test(t, m) }) {
			m.report(t)
			return
		}
	}
}

// aliceID is a user that no machine has.
const aliceID = "47110"

const project = `name: shop
services:
  ticker:
    command: /opt/service -every 5ms -count /home/alice/ticks
  web:
    command: /opt/service -listen -escape -ignore-term
    ports: {http: 9000}
    stop: {grace: 200ms}
`

// install puts binaries and units where a package has them.
func install(t *testing.T, m *machine) {
	t.Helper()
	share := filepath.Join(m.dir, "share")
	build := exec.Command("go", "build", "-o", share+"/", "./cmd/...", "./testdata/service")
	build.Dir = "../.."
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	for _, name := range []string{"stead.service", "stead@.service"} {
		text, err := os.ReadFile(name)
		check(t, err)
		check(t, os.WriteFile(filepath.Join(share, name), text, 0o644))
	}
	check(t, os.WriteFile(filepath.Join(share, "stead.yaml"), []byte(project), 0o644))
	m.run(t, "root", `cd /run/share
		cp stead steadd stead-runtime-process stead-gateway /usr/bin
		cp service /opt
		cp stead.service /usr/lib/systemd/user
		cp stead@.service /usr/lib/systemd/system
		useradd --create-home --uid `+aliceID+` --shell /bin/sh alice
		loginctl enable-linger alice
		install -d -o alice -g alice /home/alice/shop
		install -o alice -g alice -m 644 stead.yaml /home/alice/shop`)
	m.awaitManager(t)
}

func (m *machine) awaitManager(t *testing.T) {
	t.Helper()
	eventually(t, 20*time.Second, "the user's manager is up", func() error {
		return m.command("alice", "systemctl --user is-system-running --wait").Run()
	})
}

// upStartsTheUnit: without a daemon, stead has systemd start it.
func upStartsTheUnit(t *testing.T, m *machine) {
	m.run(t, "alice", "cd shop; stead up -d")
	unit := m.show(t, "stead.service", "ActiveState", "MainPID", "Type")
	if unit["ActiveState"] != "active" || unit["Type"] != "notify" || unit["MainPID"] != fmt.Sprint(m.daemon(t).PID) {
		t.Errorf("the unit is %v, the daemon %+v", unit, m.daemon(t))
	}
	if log := m.command("alice", "cat .local/state/stead/daemon.log"); log.Run() == nil {
		t.Error("stead has started a daemon of its own")
	}
	// with a home of its own it is another stead, and none of systemd's
	m.run(t, "alice", "export STEAD_HOME=/tmp/other; cd shop; stead check; test -e $STEAD_HOME/daemon.log; stead daemon stop --services")
}

// scopeOfItsOwn: the runtime and its services are outside of the daemon's
// unit, with a cgroup each.
func scopeOfItsOwn(t *testing.T, m *machine) {
	d := m.daemon(t)
	if !slices.Contains(d.Runtime.Capabilities, "cgroup") {
		t.Errorf("the runtime of an ordinary user has %q: no cgroup", d.Runtime.Capabilities)
	}
	own := m.cgroupOf(t, d.Runtime.PID)
	scope, leaf := filepath.Split(own)
	scope = strings.TrimSuffix(scope, "/")
	if leaf != "runtime" || filepath.Ext(scope) != ".scope" || filepath.Base(filepath.Dir(scope)) != "app.slice" {
		t.Errorf("the runtime is in %s", own)
	}
	seen := map[string]bool{}
	for name, pid := range m.pids(t) {
		dir := m.cgroupOf(t, pid)
		if !strings.HasPrefix(dir, scope+"/stead-") || seen[dir] {
			t.Errorf("%s is in %s, the scope is %s", name, dir, scope)
		}
		seen[dir] = true
	}
	if show := m.show(t, filepath.Base(scope), "Delegate", "ActiveState"); show["Delegate"] != "yes" || show["ActiveState"] != "active" {
		t.Errorf("the scope is %v", show)
	}
	if got := m.inUnit(t); len(got) != 1 || got[0] != d.PID {
		t.Errorf("in the daemon's unit are %v, want the daemon %d alone", got, d.PID)
	}
	// what the leaf is for
	if controllers := m.run(t, "alice", "cat /sys/fs/cgroup"+scope+"/cgroup.controllers"); controllers != "" {
		first := strings.Fields(controllers)[0]
		m.run(t, "alice", "cd /sys/fs/cgroup"+scope+"; echo +"+first+" >cgroup.subtree_control; echo -"+first+" >cgroup.subtree_control")
	}
}

func servicesOutliveTheDaemon(t *testing.T, m *machine) {
	for _, c := range []struct{ name, script string }{
		{"restart", "systemctl --user restart stead"},
		{"stop and start", "systemctl --user stop stead; sleep 0.2; systemctl --user start stead"},
		{"stop and stead status", "systemctl --user stop stead; sleep 0.2; stead status"},
		{"kill -9", "kill -9 $(systemctl --user show -P MainPID stead)"},
		{"kill -9 and stead status", "p=$(systemctl --user show -P MainPID stead); kill -9 $p; while kill -0 $p 2>&-; do sleep 0.01; done; stead status"},
		{"kill -9 three times", "for i in 1 2 3; do systemctl --user kill -s KILL stead; sleep 0.1; systemctl --user start stead; done"},
	} {
		before, pids := m.daemon(t), m.pids(t)
		m.run(t, "alice", c.script)
		var after described
		eventually(t, 10*time.Second, c.name+": there is a new daemon", func() error {
			if after = m.daemon(t); !after.Running || after.PID == before.PID || after.Runtime.PID == 0 {
				return fmt.Errorf("it is %+v", after)
			}
			return nil
		})
		if after.Runtime.PID != before.Runtime.PID {
			t.Errorf("%s: the runtime was %d and is %d", c.name, before.Runtime.PID, after.Runtime.PID)
		}
		if now := m.pids(t); fmt.Sprint(now) != fmt.Sprint(pids) {
			t.Errorf("%s: the services were %v and are %v", c.name, pids, now)
		}
		unit := m.show(t, "stead.service", "ActiveState", "MainPID")
		if unit["ActiveState"] != "active" || unit["MainPID"] != fmt.Sprint(after.PID) {
			t.Errorf("%s: the unit is %v, the daemon %d", c.name, unit, after.PID)
		}
	}
	m.ticksAreWhole(t)
	if said := m.run(t, "root", `journalctl --no-pager -q | grep -iE "left-over|EBUSY|resource busy|Failed to (attach|fork|spawn)" || true`); said != "" {
		t.Errorf("systemd complains:\n%s", said)
	}
}

// killedRuntimeIsReplaced: by one in a scope of its own, and the old scope goes.
func killedRuntimeIsReplaced(t *testing.T, m *machine) {
	before := m.daemon(t)
	old := filepath.Base(filepath.Dir(m.cgroupOf(t, before.Runtime.PID)))
	m.run(t, "alice", fmt.Sprint("kill -9 ", before.Runtime.PID))
	eventually(t, 10*time.Second, "services are back", func() error {
		d := m.daemon(t)
		if d.Runtime.PID == before.Runtime.PID || d.Runtime.PID == 0 {
			return fmt.Errorf("the daemon is %+v", d)
		}
		if pids := m.pids(t); len(pids) != 2 || pids["web"] == 0 || pids["ticker"] == 0 {
			return fmt.Errorf("services are %v", pids)
		}
		return nil
	})
	eventually(t, 5*time.Second, "the old scope is gone", func() error {
		if slices.Contains(m.scopes(t), old) {
			return errors.New(old + " is there")
		}
		return nil
	})
	if scopes := m.scopes(t); len(scopes) != 1 {
		t.Errorf("scopes are %v", scopes)
	}
	// two that ignore SIGTERM: web and its escaped child
	if got := m.run(t, "alice", "pgrep -cx service"); got != "3" {
		t.Errorf("%s processes of services, want 3", got)
	}
}

// downEndsTrees: web ignores SIGTERM, and so does a child of it in a session
// of its own, without an environment.
func downEndsTrees(t *testing.T, m *machine) {
	if got := m.run(t, "alice", "cd shop; stead down web >/dev/null; pgrep -x service | wc -l"); got != "1" {
		t.Errorf("%s processes of services are left, want the ticker", got)
	}
	m.run(t, "alice", "cd shop; stead up -d")
}

func stopLeavesNothing(t *testing.T, m *machine) {
	m.run(t, "alice", "stead daemon stop --services")
	m.nothingLeft(t)
	time.Sleep(1500 * time.Millisecond) // longer than RestartSec
	if unit := m.show(t, "stead.service", "ActiveState"); unit["ActiveState"] != "inactive" {
		t.Errorf("stopped, the unit is %v", unit)
	}
}

// managerEndsQuickly: as on shutdown, or after the last logout without linger.
// systemd would wait for 90 s for a runtime that ignores it. And no service may
// count as completed, because it ended well when it was told to.
func managerEndsQuickly(t *testing.T, m *machine) {
	m.run(t, "alice", "rm ticks; cd shop; stead up -d")
	begin := time.Now()
	m.run(t, "root", "systemctl stop user@"+aliceID)
	if took := time.Since(begin); took > 45*time.Second {
		t.Errorf("the manager took %s to end", took)
	}
	if out, err := m.command("root", "pgrep -u alice -a").Output(); err == nil {
		t.Errorf("processes are left:\n%s", out)
	}
	m.run(t, "root", "systemctl start user@"+aliceID)
	m.awaitManager(t)
	m.run(t, "alice", "systemctl --user start stead")
	eventually(t, 10*time.Second, "services are back", func() error {
		if pids := m.pids(t); pids["web"] == 0 || pids["ticker"] == 0 {
			return fmt.Errorf("ready are %v", pids)
		}
		return nil
	})
	m.run(t, "alice", "stead daemon stop --services")
	m.nothingLeft(t)
}

// hangingSystemdRun: a daemon does not wait for it, and goes on without.
func hangingSystemdRun(t *testing.T, m *machine) {
	m.run(t, "alice", `mkdir -p hang .config/systemd/user/stead.service.d
		printf '#!/bin/sh\nexec sleep 1000\n' >hang/systemd-run; chmod +x hang/systemd-run
		printf '[Service]\nEnvironment=PATH=/home/alice/hang:/usr/bin:/bin\n' >.config/systemd/user/stead.service.d/hang.conf
		systemctl --user daemon-reload`)
	begin := time.Now()
	m.run(t, "alice", "stead daemon status || true; cd shop; stead up -d")
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("up took %s", took)
	}
	log := m.run(t, "root", "journalctl --no-pager -q _COMM=steadd")
	if !strings.Contains(log, "without a systemd scope") || !strings.Contains(log, "systemd-run did nothing for 1.5s") {
		t.Errorf("the log does not say so:\n%s", log)
	}
	pids := m.pids(t)
	m.run(t, "alice", "systemctl --user restart stead")
	if now := m.pids(t); fmt.Sprint(now) != fmt.Sprint(pids) {
		t.Errorf("without a scope: the services were %v and are %v", pids, now)
	}
	m.run(t, "alice", "stead daemon stop --services; rm -r hang .config; systemctl --user daemon-reload")
	m.nothingLeft(t)
}

// withoutABus: a daemon that some unit started, and that cannot reach any
// systemd, as in a shell of `sudo -u alice`.
func withoutABus(t *testing.T, m *machine) {
	begin := time.Now()
	m.run(t, "alice", "unset XDG_RUNTIME_DIR; export STEAD_HOME=/tmp/other INVOCATION_ID=1; cd shop; stead up -d; stead daemon stop --services")
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("up and stop took %s", took)
	}
	if log := m.run(t, "alice", "cat /tmp/other/daemon.log"); !strings.Contains(log, "without a systemd scope") {
		t.Errorf("the log does not say so:\n%s", log)
	}
	m.nothingLeft(t)
}

// systemUnit: the daemon of a user by a unit of the system, found by the
// user's own commands.
func systemUnit(t *testing.T, m *machine) {
	m.run(t, "root", "systemctl start stead@alice")
	m.run(t, "alice", "cd shop; stead up -d")
	d, pids := m.daemon(t), m.pids(t)
	if got := m.run(t, "root", "systemctl show -P MainPID stead@alice"); got != fmt.Sprint(d.PID) {
		t.Errorf("the unit's daemon is %s, alice's %d", got, d.PID)
	}
	for _, script := range []string{"systemctl restart stead@alice", "systemctl stop stead@alice; sleep 0.5; systemctl start stead@alice", "kill -9 $(systemctl show -P MainPID stead@alice); sleep 0.2; systemctl start stead@alice"} {
		m.run(t, "root", script)
		if now := m.pids(t); fmt.Sprint(now) != fmt.Sprint(pids) || m.daemon(t).Runtime.PID != d.Runtime.PID {
			t.Errorf("%s: the services were %v and are %v", script, pids, now)
		}
	}
	if owner := m.run(t, "root", fmt.Sprintf("stat -c %%U /proc/%d", pids["web"])); owner != "alice" {
		t.Errorf("services run as %s", owner)
	}
	m.run(t, "alice", "stead daemon stop --services")
	m.nothingLeft(t)
}

// report says what the machine has to say about a failure.
func (m *machine) report(t *testing.T) {
	out, _ := m.command("root", `journalctl --no-pager -q -o short-monotonic _UID=`+aliceID+` | tail -n 80
		systemd-cgls --no-pager; cat /home/alice/.local/state/stead/*.log | tail -n 40`).CombinedOutput()
	t.Logf("%s", out)
}

// described is what `stead daemon status` says.
type described struct {
	Running bool `json:"running"`
	PID     int  `json:"pid"`
	Runtime struct {
		PID          int      `json:"pid"`
		Capabilities []string `json:"capabilities"`
	} `json:"runtime"`
}

func (m *machine) daemon(t *testing.T) described {
	t.Helper()
	var d described
	out, _ := m.command("alice", "stead daemon status --output json").Output() // 5: none runs
	check(t, json.Unmarshal(out, &d))
	return d
}

// pids returns the process of each service that is ready.
func (m *machine) pids(t *testing.T) map[string]int {
	t.Helper()
	var status struct {
		Services []struct {
			Name      string `json:"name"`
			Ready     bool   `json:"ready"`
			Instances []struct {
				PID int `json:"pid"`
			} `json:"instances"`
		} `json:"services"`
	}
	check(t, json.Unmarshal([]byte(m.run(t, "alice", "stead status --all --output json")), &status))
	pids := map[string]int{}
	for _, s := range status.Services {
		if s.Ready && len(s.Instances) == 1 {
			pids[s.Name] = s.Instances[0].PID
		}
	}
	return pids
}

// show returns properties of a unit of the user's.
func (m *machine) show(t *testing.T, unit string, names ...string) map[string]string {
	t.Helper()
	shown := map[string]string{}
	for line := range strings.Lines(m.run(t, "alice", "systemctl --user show -p "+strings.Join(names, ",")+" "+unit)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		shown[name] = value
	}
	return shown
}

// cgroupOf returns the cgroup of a process of the machine, from its root.
func (m *machine) cgroupOf(t *testing.T, pid int) string {
	t.Helper()
	for line := range strings.Lines(m.run(t, "root", fmt.Sprintf("cat /proc/%d/cgroup", pid))) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path
		}
	}
	t.Fatalf("process %d is in no cgroup", pid)
	return ""
}

const userCgroups = "/sys/fs/cgroup/user.slice/user-" + aliceID + ".slice"

// inUnit returns the processes in the daemon's unit.
func (m *machine) inUnit(t *testing.T) []int {
	t.Helper()
	var pids []int
	for _, word := range strings.Fields(m.run(t, "root", "find "+userCgroups+" -path '*/stead.service*' -name cgroup.procs -exec cat {} +")) {
		pid, err := strconv.Atoi(word)
		check(t, err)
		pids = append(pids, pid)
	}
	return pids
}

// scopes returns the scopes of the user's, by their cgroups.
func (m *machine) scopes(t *testing.T) []string {
	t.Helper()
	return strings.Fields(m.run(t, "root", "find "+userCgroups+" -name 'run-*.scope' -printf '%f\n'"))
}

// nothingLeft waits until there is no process, scope or cgroup of stead's.
func (m *machine) nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, 5*time.Second, "nothing is left", func() error {
		left := m.run(t, "root", "find "+userCgroups+` -name 'stead*' -o -name 'run-*.scope'; pgrep -a '^(stead|service)' || true`)
		if left != "" {
			return errors.New(left)
		}
		return nil
	})
}

// ticksAreWhole: no line of the ticker is missing from its log, or twice in it.
func (m *machine) ticksAreWhole(t *testing.T) {
	t.Helper()
	n := 0
	for line := range strings.Lines(m.run(t, "alice", "stead logs --all ticker")) {
		_, number, ok := strings.Cut(strings.TrimSpace(line), "tick ")
		if !ok {
			continue
		}
		n++
		if number != fmt.Sprint(n) {
			t.Fatalf("line %d of the ticker is %q", n, line)
		}
	}
	if n < 100 {
		t.Errorf("the ticker has written %d lines only", n)
	}
}
