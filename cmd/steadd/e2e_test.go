package main_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts in testdata/scripts run the real binaries: a daemon, a runtime
// and services of their own each, below $STEAD_HOME. A script that is killed
// leaves nothing behind for longer than STEAD_ORPHAN_TTL.

var bin string // where TestMain built everything

func TestMain(m *testing.M) {
	if bin = os.Getenv("STEAD_TEST_BIN"); bin != "" { // a test that runs alone
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "stead-e2e-")
	if err != nil {
		panic(err)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/stead", "./cmd/steadd", "./cmd/stead-runtime-process", "./cmd/stead-gateway", "./testdata/service", "./testdata/cloud")
	build.Dir = "../.."
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		os.Exit(1)
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/scripts",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("BIN", bin)
			env.Setenv("STEAD_HOME", env.WorkDir+"/home")
			env.Setenv("STEAD_ORPHAN_TTL", "60s")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("STEAD_RUNTIME_KUBERNETES", bin+"/cloud")
			for name, value := range goEnvironment() {
				env.Setenv(name, value)
			}
			env.Setenv("XDG_STATE_HOME", "")
			env.Setenv("XDG_RUNTIME_DIR", "")
			env.Defer(func() { stopStead(t, env) })
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"eventually": eventually,
			"get":        get,
			"append":     appendLine,
			"once":       once,
			"hit":        hit,
			"kill9":      kill9,
			"term":       term,
			"exits":      exits,
			"ruin":       ruin,
			"build":      build,
			"alive":      alive,
			"save":       save,
			"freeport":   freeport,
			"answer":     answer,
			"reach":      reach,
		},
	})
}

// goEnvironment has scripts build with what is built already, from nowhere else.
var goEnvironment = sync.OnceValue(func() map[string]string {
	cache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		panic(err) // TestMain has built with it
	}
	return map[string]string{"GOCACHE": strings.TrimSpace(string(cache)), "GOFLAGS": "-buildvcs=false", "GOPROXY": "off", "GOTOOLCHAIN": "local", "GOTELEMETRY": "off"}
})

// stopStead ends what a script has started, and fails the test when something
// is left.
func stopStead(t *testing.T, env *testscript.Env) {
	stop := exec.Command(bin+"/stead", "daemon", "stop", "--services")
	stop.Env = env.Vars
	out, err := stop.CombinedOutput()
	if err != nil && !strings.Contains(string(out), "no daemon") {
		t.Errorf("stop: %v\n%s", err, out)
	}
	deadline := time.Now().Add(patience)
	for {
		left := processesOf(env.WorkDir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("processes were left behind: %v", left)
			for _, pid := range left {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// processesOf finds processes whose environment names a script's directory.
func processesOf(dir string) []int {
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err == nil && (strings.Contains(string(text), dir+"/") || strings.Contains(string(text), dir+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// patience is what every wait has at least: it ends a hang, and is no measure
// of speed on a machine with other work.
const patience = 30 * time.Second

// eventually DURATION COMMAND... runs a command until it succeeds and, when
// it has a last argument of the form /regexp/, prints what matches it.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventually DURATION COMMAND [ARG...] [/TEXT/]")
	}
	limit, err := time.ParseDuration(args[0])
	ts.Check(err)
	limit = max(limit, patience)
	args = args[1:]
	want := ""
	if last := args[len(args)-1]; len(last) > 1 && strings.HasPrefix(last, "/") && strings.HasSuffix(last, "/") {
		want, args = last[1:len(last)-1], args[:len(args)-1]
	}
	deadline := time.Now().Add(limit)
	for {
		cmd := exec.Command(find(args[0]), args[1:]...)
		cmd.Dir = ts.MkAbs(".")
		cmd.Env = environ(ts)
		out, err := cmd.CombinedOutput()
		if err == nil && strings.Contains(string(out), want) {
			ts.Logf("%s", out)
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("not within %v: %v (want %q)\n%s", limit, err, want, out)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func find(name string) string {
	if path := filepath.Join(bin, name); filepath.Base(name) == name {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return name
}

func environ(ts *testscript.TestScript) []string {
	env := []string{}
	for _, name := range []string{"PATH", "HOME", "STEAD_HOME", "STEAD_ORPHAN_TTL", "WORK", "TMPDIR", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "STEAD_RUNTIME_KUBERNETES", "GOCACHE", "GOFLAGS", "GOPROXY", "GOTOOLCHAIN"} {
		env = append(env, name+"="+ts.Getenv(name))
	}
	return env
}

// get URL TEXT asks until the answer contains TEXT.
func get(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: get URL TEXT")
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := client.Get(args[0])
		if err != nil {
			last = err.Error()
			continue
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if last = string(body); strings.Contains(last, args[1]) {
			return
		}
	}
	ts.Fatalf("%s: no %q, but %q", args[0], args[1], last)
}

// reach FILE TEXT is get for the URL in a file, below which it asks for /hello.
func reach(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: reach FILE TEXT")
	}
	get(ts, false, []string{strings.TrimSpace(ts.ReadFile(args[0])) + "/hello", args[1]})
}

// answer URL ACCEPT STATUS TEXT asks until the answer has the status, and then
// wants TEXT in it.
func answer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 4 {
		ts.Fatalf("usage: answer URL ACCEPT STATUS TEXT")
	}
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	req, err := http.NewRequest(http.MethodGet, args[0], nil)
	ts.Check(err)
	req.Header.Set("Accept", args[1])
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		res, err := client.Do(req)
		if err != nil {
			last = err.Error()
			continue
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		last = res.Status + " " + res.Header.Get("Content-Type") + "\n" + string(body)
		if strconv.Itoa(res.StatusCode) == args[2] && strings.HasPrefix(res.Header.Get("Content-Type"), args[1]) && strings.Contains(last, args[3]) {
			return
		}
	}
	ts.Fatalf("%s: no %s with %q, but %s", args[0], args[2], args[3], last)
}

// once URL TEXT asks once: the answer, which may take its time, contains TEXT.
func once(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: once URL TEXT")
	}
	client := http.Client{Timeout: 2 * patience, Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Get(args[0])
	ts.Check(err)
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	ts.Check(err)
	if !strings.Contains(string(body), args[1]) {
		ts.Fatalf("%s: no %q, but %s: %q", args[0], args[1], res.Status, body)
	}
}

// hit URL asks once, and takes any answer or none.
func hit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hit URL")
	}
	client := http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if res, err := client.Post(args[0], "", nil); err == nil { // what no proxy tries twice
		_ = res.Body.Close()
	}
}

// kill9 NAME [SERVICE] sends SIGKILL to the daemon, the runtime, or a service.
func kill9(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: kill9 daemon|runtime|SERVICE")
	}
	pid := pidOf(ts, args[0])
	ts.Check(syscall.Kill(pid, syscall.SIGKILL))
	for !ended(pid) { // its sockets are open until it has ended
		time.Sleep(time.Millisecond)
	}
}

// ended reports whether a process is gone, or waits to be reaped: the state
// that follows its name in brackets (proc_pid_stat(5)).
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// save NAME SERVICE keeps the pid of a service in the variable NAME; alive
// NAME fails when that process is gone.
func save(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: save NAME SERVICE")
	}
	ts.Setenv(args[0], strconv.Itoa(pidOf(ts, args[1])))
}

func alive(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: alive NAME")
	}
	pid, err := strconv.Atoi(ts.Getenv(args[0]))
	ts.Check(err)
	gone := func() bool { return syscall.Kill(pid, 0) != nil }
	for deadline := time.Now().Add(patience); neg && !gone() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if gone() != neg {
		ts.Fatalf("process %d: gone is %v", pid, gone())
	}
}

// freeport NAME... sets variables to port numbers that nobody listens on.
func freeport(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		ts.Setenv(name, strconv.Itoa(freePort()))
	}
}
