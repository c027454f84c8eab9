package main_test

import (
	"bytes"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// term NAME sends SIGTERM to the daemon, the runtime, or a service.
func term(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: term daemon|runtime|SERVICE")
	}
	pid := pidOf(ts, args[0])
	ts.Check(syscall.Kill(pid, syscall.SIGTERM))
	for end := time.Now().Add(patience); !ended(pid); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			ts.Fatalf("%s does not end at SIGTERM", args[0])
		}
	}
}

// exits CODE COMMAND... runs a command that must end with this very code; its
// output is there for stdout and stderr.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND [ARG...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	cmd := exec.Command(find(args[1]), args[2:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
	cmd.Stdout, cmd.Stderr = ts.Stdout(), ts.Stderr()
	if _ = cmd.Run(); cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != want {
		ts.Fatalf("%v ended with %v, not with %d", args[1:], cmd.ProcessState, want)
	}
}

// ruin FILE [SIZE] fills a file with what was never written to it, or cuts it
// off at a size.
func ruin(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || len(args) > 2 {
		ts.Fatalf("usage: ruin FILE [SIZE]")
	}
	path := ts.MkAbs(args[0])
	if len(args) == 2 {
		size, err := strconv.ParseInt(args[1], 10, 64)
		ts.Check(err)
		ts.Check(os.Truncate(path, size))
		return
	}
	ts.Check(os.WriteFile(path, bytes.Repeat([]byte("garbage!"), 4096), 0o600))
}

// build FILE VERSION PACKAGE builds a command of this repository with a
// version of its own.
func build(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: build FILE VERSION PACKAGE")
	}
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.version="+args[1], "-o", ts.MkAbs(args[0]), args[2])
	cmd.Dir = "../.."
	out, err := cmd.CombinedOutput()
	if err != nil {
		ts.Fatalf("%v\n%s", err, out)
	}
}

// append FILE saves a file with one line more, as an editor would.
func appendLine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: append FILE")
	}
	path := ts.MkAbs(args[0])
	text, err := os.ReadFile(path)
	ts.Check(err)
	ts.Check(os.WriteFile(path, append(text, "a line\n"...), 0o600))
}
