package main

import (
	"bytes"
	"fmt"
	"os"
)

// defunct reports whether a process has ended and only waits to be reaped:
// the state that follows its name in brackets (proc_pid_stat(5)).
func defunct(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := bytes.Cut(stat[max(0, bytes.LastIndexByte(stat, ')')):], []byte(" "))
	return bytes.HasPrefix(state, []byte("Z")) || bytes.HasPrefix(state, []byte("X"))
}
