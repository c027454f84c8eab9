package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// mark is in the environment of everything that this lab starts, and of what
// that starts in turn, but for the runtimes of steads: by it all of it is found
// again.
const mark = "STEAD_LAB"

// ending is locked, for good, by what ends the lab: who fails after that, as
// what it works with is being ended, has nothing to say. The floor starts
// nothing any more then.
var ending sync.RWMutex

// begun are the steads that rows have made.
var begun struct {
	mu     sync.Mutex
	steads []*stead
}

func begin(s *stead) {
	begun.mu.Lock()
	defer begun.mu.Unlock()
	begun.steads = append(begun.steads, s)
}

// endSteads stops those that are still there, and all that runs in them.
func endSteads() {
	begun.mu.Lock()
	defer begun.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, s := range begun.steads {
		if _, err := os.Stat(s.dir); err != nil {
			continue // its row has ended it
		}
		if out, err := s.command(ctx, "stead", "daemon", "stop", "--services").CombinedOutput(); err != nil && !strings.Contains(string(out), "no daemon is running") {
			fmt.Fprintf(os.Stderr, "lab: error: stop the stead in %s: %v\n%s", s.dir, err, out)
		}
		_ = os.RemoveAll(s.dir) // a runtime whose home is gone ends by itself
	}
}

// endOnSignal has INT and TERM end what the lab started. A second one has its
// ordinary effect.
func endOnSignal() error {
	if err := os.Setenv(mark, strconv.Itoa(os.Getpid())); err != nil {
		return err
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() { // ends with the lab
		s := <-signals
		signal.Stop(signals)
		ending.Lock()
		fmt.Fprintf(os.Stderr, "lab: %v: ending what was started\n", s)
		endSteads()
		if left := endMarked(); left > 0 {
			fmt.Fprintf(os.Stderr, "lab: error: %d processes are left\n", left)
		}
		os.Exit(130)
	}()
	return nil
}

// quietLooks in a row have to find nothing.
const quietLooks = 10

// endMarked kills everything that is marked, and returns how many are left.
func endMarked() int {
	own := fmt.Sprintf("\x00%s=%d\x00", mark, os.Getpid())
	quiet := 0
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		left := 0
		files, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range files {
			text, err := os.ReadFile(file)
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			if err == nil && pid != os.Getpid() && strings.Contains("\x00"+string(text), own) {
				left++
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if quiet++; left > 0 {
			quiet = 0
		}
		if quiet == quietLooks || time.Now().After(end) { // a row may be about to start something, and fails then
			return left
		}
	}
}

// claim fails when one of some ports is taken: rows have ports of their own,
// so two labs cannot run them at once.
func claim(first, n int) error {
	for port := first; port < first+n; port++ {
		if !free(port) {
			return fmt.Errorf("port %d is taken, and this row needs %d to %d: another lab runs, or left a stead behind; see who has it: ss -ltnp sport = :%d", port, first, first+n-1, port)
		}
	}
	return nil
}
