package conformance_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/runtime/plugin"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("SERVE_FAKE"); dir != "" {
		err := plugin.Serve(context.Background(), plugin.ServeOptions{
			Dir: dir, Runtime: fake.New(options), OrphanTTL: time.Minute,
			Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(plugin.ExitCode(err))
	}
	os.Exit(conformance.Main(m))
}

// script plays the suite's services.
func script(spec runtime.Spec, instance runtime.InstanceID) fake.Act {
	act := fake.Act{Unable: spec.Ready != nil} // the only probe here never succeeds
	switch args := spec.Command; args[0] {
	case "exit":
		code, _ := strconv.Atoi(args[1])
		act.Exit = &runtime.Exit{Code: code}
		if len(args) > 2 {
			act.ExitIn, _ = time.ParseDuration(args[2])
		}
	case "succeed-at":
		act.Exit = &runtime.Exit{}
		if n, _ := strconv.Atoi(args[1]); instance.Attempt < n {
			act.Exit.Code = 1
		}
	case "stubborn":
		act.Stubborn = true
	case "echo":
		act.Serve = func(_ string, conn runtime.Conn) {
			if _, err := io.Copy(conn, conn); err == nil {
				_, _ = io.WriteString(conn, "end\n")
			}
		}
	case "farewell":
		act.Serve = func(_ string, conn runtime.Conn) {
			_, _ = io.WriteString(conn, "bye\n")
			_ = conn.CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
		}
	case "flood":
		act.Serve = func(_ string, conn runtime.Conn) {
			for block := make([]byte, 1<<10); ; {
				if _, err := conn.Write(block); err != nil {
					return
				}
			}
		}
	case "print":
		act.Output = strings.ReplaceAll(args[1], `\n`, "\n")
		if len(args) > 2 {
			act.Exit = &runtime.Exit{Code: 1}
		}
	}
	return act
}

var options = fake.Options{Script: script, Capabilities: []string{runtime.CapabilitySockets, runtime.CapabilityReserve, runtime.CapabilityInspect, runtime.CapabilityConnect, runtime.CapabilityStats}}

func verbs(args ...string) []string { return args }

func TestFake(t *testing.T) {
	conformance.Run(t, conformance.Harness{
		New: func(*testing.T) conformance.Instance {
			return conformance.Instance{Runtime: fake.New(options)}
		},
		Command: verbs,
	})
}

// TestFakeServed is the carriage's test: nothing of the contract is lost on
// the way.
func TestFakeServed(t *testing.T) {
	conformance.Run(t, conformance.Harness{New: served, Served: true, Command: verbs})
}

func served(t *testing.T) conformance.Instance {
	dir, err := os.MkdirTemp("", "sc") // t.TempDir is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := plugin.Launch(t.Context(), plugin.LaunchOptions{
		Path: path, Dir: dir, LogFile: filepath.Join(dir, "log"),
		Env: append(os.Environ(), "SERVE_FAKE="+dir, "GORACE=atexit_sleep_ms=0"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return conformance.Instance{Runtime: c, Dir: dir}
}
