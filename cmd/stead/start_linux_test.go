package main

import (
	"os/exec"
	"testing"
	"time"
)

// A daemon whose parent does not reap it (a container without an init, a
// script that has better things to do) has ended all the same: `daemon stop`
// waited a minute for it, and failed.
func TestStopWaitsForZombie(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	for end := time.Now().Add(5 * time.Second); runs(int32(cmd.Process.Pid)); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a process that has ended and was not reaped counts as running")
		}
	}
}
