package plugin

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
)

// The test binary is also the programs that the tests run.
func TestMain(m *testing.M) {
	switch os.Getenv("PLUGIN_TEST_AS") {
	case "runtime":
		os.Exit(asRuntime())
	case "client":
		os.Exit(asClient())
	case "broken":
		fmt.Fprintln(os.Stderr, "line one\nthe disk is on fire")
		os.Exit(3)
	}
	goleak.VerifyTestMain(m,
		// Launch's reaper lives as long as the runtime, which here is killed at
		// the end of each test, and may see that a moment after goleak looks.
		goleak.IgnoreAnyFunction("github.com/stead-dev/stead/runtime/plugin.spawn.func1"))
}

// asRuntime serves the fake, with the variables PLUGIN_TEST_*.
func asRuntime() int {
	ttl := time.Minute // should the test be killed
	if s := os.Getenv("PLUGIN_TEST_TTL"); s != "" {
		ttl, _ = time.ParseDuration(s)
	}
	var rt runtime.Runtime = fake.New(fake.Options{Script: script})
	if os.Getenv("PLUGIN_TEST_FUTURE") != "" {
		rt = future{rt}
	}
	if path := os.Getenv("PLUGIN_TEST_SHUT"); path != "" {
		rt = shutNoted{rt, path}
	}
	open := func() (runtime.Runtime, error) {
		slow, _ := time.ParseDuration(os.Getenv("PLUGIN_TEST_SLOW"))
		time.Sleep(slow)
		return rt, nil
	}
	err := Serve(context.Background(), ServeOptions{
		Dir: os.Getenv("PLUGIN_TEST_DIR"), Open: open, Build: "b1", OrphanTTL: ttl,
		Home: os.Getenv("PLUGIN_TEST_HOME"), HomeEvery: 20 * time.Millisecond,
		Log: slog.New(slog.NewTextHandler(os.Stderr, nil)), Remains: os.Getenv("PLUGIN_TEST_REMAINS") != "",
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return ExitCode(err)
}

// shutNoted makes a file when everything is to be stopped.
type shutNoted struct {
	runtime.Runtime
	path string
}

func (s shutNoted) Shutdown(ctx context.Context) error {
	if err := os.WriteFile(s.path, nil, 0o600); err != nil {
		return err
	}
	return s.Runtime.Shutdown(ctx)
}

// future speaks a contract of later days, whatever it is asked.
type future struct{ runtime.Runtime }

func (f future) Describe(ctx context.Context, _ int) (runtime.Description, error) {
	d, err := f.Runtime.Describe(ctx, runtime.ContractVersion)
	d.Version = runtime.ContractVersion + 5
	return d, err
}

func script(spec runtime.Spec, _ runtime.InstanceID) fake.Act {
	switch spec.ID.Service {
	case "loud": // more than a pipe holds, to what go-plugin has replaced
		fmt.Println(strings.Repeat("x", 200<<10))
		fmt.Fprintln(os.Stderr, strings.Repeat("y", 200<<10))
	case "child": // how a process of this one takes SIGTERM
		cmd := exec.Command("sh", "-c", "kill -TERM $$; exit 3")
		_ = cmd.Run()
		return fake.Act{Exit: &runtime.Exit{Code: cmd.ProcessState.ExitCode()}}
	}
	return fake.Act{Output: spec.Environment["OUTPUT"]}
}

// asClient attaches, starts a generation, follows everything and says so; it
// is to be killed.
func asClient() int {
	ctx := context.Background()
	c, err := Attach(ctx, os.Getenv("PLUGIN_TEST_DIR"))
	if err == nil {
		_, err = c.Start(ctx, spec("web", 1))
	}
	if err == nil {
		err = c.Watch(ctx, func(e runtime.Event) error {
			if e.Kind == runtime.SyncedEvent {
				fmt.Println("synced")
			}
			return nil
		})
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func spec(service string, number uint64) runtime.Spec {
	return runtime.Spec{
		ID:      runtime.ID{Environment: "local", Project: "p", Service: service, Number: number},
		Command: []string{"x"}, Dir: "/", Replicas: 1, Stop: runtime.Stop{Signal: "TERM", Grace: time.Second},
	}
}

// tempDir is short, as sockets need it.
func tempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "sp")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func options(dir, as string, env ...string) LaunchOptions {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	env = append(env, "PLUGIN_TEST_AS="+as, "PLUGIN_TEST_DIR="+dir, "GOCOVERDIR="+os.TempDir(),
		"GORACE=atexit_sleep_ms=0") // a race-detecting binary would sleep for 1 s at its end
	return LaunchOptions{Path: path, Dir: dir, Env: append(os.Environ(), env...), LogFile: filepath.Join(dir, "log")}
}

// launched starts a runtime for one test.
func launched(t *testing.T, env ...string) (*Client, string) {
	t.Helper()
	dir := tempDir(t)
	killAtEnd(t, dir)
	c, err := Launch(t.Context(), options(dir, "runtime", env...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, dir
}

// killAtEnd ends the runtime that serves dir when the test is over.
func killAtEnd(t *testing.T, dir string) {
	t.Cleanup(func() {
		if err := replace(context.Background(), dir); err != nil {
			t.Error(err)
		}
	})
}

// patience ends a hang, and is no measure of speed.
const patience = time.Minute

func within(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s: not within %s", what, patience)
	}
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for tick, end := newTicker(), time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
		_ = tick.wait(context.Background())
	}
}

var errEnough = errors.New("enough")

// present returns the events up to Synced.
func present(t *testing.T, rt runtime.Runtime) []runtime.Event {
	t.Helper()
	var events []runtime.Event
	err := rt.Watch(t.Context(), func(e runtime.Event) error {
		events = append(events, e)
		if e.Kind == runtime.SyncedEvent {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return events
}

func alive(pid int) bool { return syscall.Kill(pid, 0) == nil }
