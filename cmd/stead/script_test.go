package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stead-dev/stead/ipc"
)

// TestMain makes the test binary be stead, and a steadd that scripts start.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"stead":  main,
		"steadd": steadd,
	})
}

// steadd plays the daemon that a stead has to start: it serves the file that
// STEADD_PLAY names until Stop, or says why it cannot.
func steadd() {
	if why := os.Getenv("STEADD_FAILS"); why != "" {
		fmt.Println("level=error msg=" + strconv.Quote(why))
		os.Exit(1)
	}
	if len(os.Args) > 1 {
		fmt.Println("steadd", strings.Join(os.Args[1:], " "))
		return
	}
	text, err := os.ReadFile(os.Getenv("STEADD_PLAY"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	home, err := ipc.ResolveHome()
	if err != nil {
		panic(err)
	}
	f := newFakeDaemon(text)
	done := f.serve(home.Socket)
	// A test that is killed leaves nobody to stop this.
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	select {
	case <-f.left:
	case <-ctx.Done():
	}
	done()
}

// TestScripts runs testdata/script. Besides testscript's own commands:
//
//	daemon FILE       starts a daemon that plays FILE (see play)
//	called CALL...    fails unless the daemon gets these calls within 5 s
//	appears FILE TEXT waits up to 5 s until FILE contains TEXT
//	die               ends the daemon as kill -9 would
//	exits CODE CMD... runs a command that must end with CODE
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon":  startPlay,
			"called":  called,
			"appears": appears,
			"die":     func(ts *testscript.TestScript, _ bool, _ []string) { daemonOf(ts).stop() },
			"exits":   exits,
		},
	})
}

type daemonKey struct{}

func daemonOf(ts *testscript.TestScript) *fakeDaemon {
	f, ok := ts.Value(daemonKey{}).(**fakeDaemon)
	if !ok || *f == nil {
		ts.Fatalf("no daemon was started")
	}
	return *f
}

// setUp gives the script a home with a short path: a socket's path holds 104
// bytes on some systems, and test directories are long.
func setUp(env *testscript.Env) error {
	home, err := os.MkdirTemp("/tmp", "stead-cli-")
	if err != nil {
		return err
	}
	env.Defer(func() { _ = os.RemoveAll(home) })
	if err := os.Mkdir(filepath.Join(home, "run"), 0o700); err != nil {
		return err
	}
	env.Setenv("STEAD_HOME", home)
	env.Setenv("TZ", "UTC")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // 1 s for each process otherwise
	env.Values[daemonKey{}] = new(*fakeDaemon)
	return nil
}

func startPlay(ts *testscript.TestScript, _ bool, args []string) {
	f := newFakeDaemon([]byte(ts.ReadFile(args[0])))
	*ts.Value(daemonKey{}).(**fakeDaemon) = f
	ts.Defer(f.serve(filepath.Join(ts.Getenv("STEAD_HOME"), "run", "stead.sock")))
}

func called(ts *testscript.TestScript, neg bool, args []string) {
	limit := 30 * time.Second
	if neg {
		limit = time.Millisecond
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	err := daemonOf(ts).waitFor(ctx, strings.Join(args, " "))
	if (err != nil) != neg {
		ts.Fatalf("called %v: %v", args, err)
	}
}

func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func appears(ts *testscript.TestScript, _ bool, args []string) {
	poll := time.NewTicker(5 * time.Millisecond)
	defer poll.Stop()
	limit := time.After(30 * time.Second)
	for {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(text), args[1]) {
			return
		}
		select {
		case <-poll.C:
		case <-limit:
			ts.Fatalf("%s: no %q in %q", args[0], args[1], text)
		}
	}
}
