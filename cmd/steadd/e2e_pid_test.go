package main_test

import (
	"encoding/json"
	"net"
	"os/exec"

	"github.com/rogpeppe/go-internal/testscript"
)

// pidOf asks the CLI for the pid of the daemon, the runtime, or a service.
func pidOf(ts *testscript.TestScript, what string) int {
	run := func(v any, args ...string) {
		cmd := exec.Command(bin+"/stead", args...)
		cmd.Dir, cmd.Env = ts.MkAbs("."), environ(ts)
		out, err := cmd.Output()
		if err != nil {
			ts.Fatalf("%v: %v", args, err)
		}
		ts.Check(json.Unmarshal(out, v))
	}
	if what == "daemon" || what == "runtime" {
		var status struct {
			PID     int `json:"pid"`
			Runtime struct {
				PID int `json:"pid"`
			} `json:"runtime"`
		}
		run(&status, "daemon", "status", "--output", "json")
		if what == "daemon" {
			return status.PID
		}
		return status.Runtime.PID
	}
	var status struct {
		Services []struct {
			Instances []struct {
				PID   int    `json:"pid"`
				Phase string `json:"phase"`
			} `json:"instances"`
		} `json:"services"`
	}
	run(&status, "status", what, "--output", "json")
	pid := 0 // one that is on its way out may be there still, or its end not be known yet
	for _, s := range status.Services {
		for _, i := range s.Instances {
			if i.PID > 0 && (pid == 0 || i.Phase != "draining" && i.Phase != "stopping") {
				pid = i.PID
			}
		}
	}
	if pid == 0 {
		ts.Fatalf("%s has no process", what)
	}
	return pid
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}
