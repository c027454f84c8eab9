package state

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The test binary plays the daemon that is killed, or that lives on a bad
// disk, when this is set.
const roleVariable = "STATE_TEST_ROLE"

func TestMain(m *testing.M) {
	role, dir, _ := strings.Cut(os.Getenv(roleVariable), ":")
	switch role {
	case "":
		os.Exit(m.Run())
	case "committer":
		committer(dir)
	case "disk":
		if err := badDisk(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

// committer commits until it is killed, and prints each number that was
// acknowledged.
func committer(dir string) {
	s, recovery, err := Open(dir, quiet)
	if err != nil || recovery != (Recovery{}) {
		fmt.Println("open:", recovery, err)
		os.Exit(1)
	}
	c, err := s.Load()
	for n := c.LastEvent + 1; err == nil; n++ {
		b := sample(20)
		b.Boot = strconv.FormatUint(n, 10)
		b.Events = []Event{{Sequence: n, Text: strings.Repeat("x", int(n%2000))}}
		b.Ports["n"] = int(n)
		if err = s.Commit(b); err == nil {
			fmt.Println(n)
		}
	}
	fmt.Println("commit:", err)
	os.Exit(1)
}

func TestKilledWhileCommitting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for round := range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), roleVariable+"=committer:"+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// Ends when the process does; the delay is random in effect, as the
		// point within a commit where it falls is.
		kill := time.AfterFunc(time.Duration(60+17*round)*time.Millisecond, func() { cmd.Process.Kill() })
		var last uint64
		for lines := bufio.NewScanner(out); lines.Scan(); {
			n, err := strconv.ParseUint(lines.Text(), 10, 64)
			if err != nil {
				t.Error(lines.Text())
				break
			}
			last = n
		}
		kill.Stop()
		cmd.Process.Kill()
		cmd.Wait()
		check(t, dir, last)
	}
}

// check opens dir and wants the batch of number last, or the one after it (on
// disk, but killed before it was said), and that one whole.
func check(t *testing.T, dir string, last uint64) {
	t.Helper()
	s := opened(t, dir)
	defer s.Close()
	c := loaded(t, s)
	if c.LastEvent != last && c.LastEvent != last+1 && last != 0 {
		t.Errorf("last event %d, %d was acknowledged", c.LastEvent, last)
	}
	if c.LastEvent > 0 && (c.Boot != strconv.FormatUint(c.LastEvent, 10) || c.Ports["n"] != int(c.LastEvent) || len(c.Services) != 20) {
		t.Errorf("half a batch: event %d, boot %s, port %d, %d services", c.LastEvent, c.Boot, c.Ports["n"], len(c.Services))
	}
}
