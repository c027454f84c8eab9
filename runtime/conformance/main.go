package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/plugin"
)

// serviceVariable says what the test binary is when it is not the tests.
const serviceVariable = "STEAD_CONFORMANCE"

// Main is TestMain's body. It returns the exit code.
func Main(m *testing.M) int {
	switch os.Getenv(serviceVariable) {
	case "service":
		return service(os.Args[1:])
	case "client":
		return client(os.Args[1])
	}
	return m.Run()
}

// Service is the program that the suite runs, for a runtime that wants a binary
// of it (Harness.Adapt): main is os.Exit(conformance.Service(os.Args[1:])).
func Service(args []string) int { return service(args) }

// client starts the spec that it reads from stdin at the runtime in dir,
// follows events and logs, and says when it does; then it is to be killed.
func client(dir string) int {
	ctx := context.Background()
	var spec runtime.Spec
	err := json.NewDecoder(bufio.NewReader(os.Stdin)).Decode(&spec)
	var c *plugin.Client
	if err == nil {
		c, err = plugin.Attach(ctx, dir)
	}
	if err == nil {
		_, err = c.Start(ctx, spec)
	}
	if err == nil {
		go func() { // ends with the process
			q := runtime.LogQuery{Environment: spec.ID.Environment, Project: spec.ID.Project, Service: spec.ID.Service, Follow: true}
			_ = c.Logs(ctx, q, func(runtime.LogBlock) error { return nil })
		}()
		err = c.Watch(ctx, func(e runtime.Event) error {
			if e.Kind == runtime.ReadyEvent {
				fmt.Println("ready")
			}
			return nil
		})
	}
	fmt.Fprintln(os.Stderr, "client:", err)
	return 1
}
