package ipc_test

import (
	"bytes"
	"context"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// recording is a backend that answers every call and notes what it was asked.
func recording(asked *[]string) *ipctest.Backend {
	note := func(format string, args ...any) { *asked = append(*asked, fmt.Sprintf(format, args...)) }
	b := ipctest.New(ipctest.Shop("api", "db", "web"))
	b.OnDescribe = func() ipc.Description {
		return ipc.Description{Version: "v1", PID: 42, Home: "/home", Socket: "/s", Started: ipctest.Epoch,
			Runtime: &runtime.Description{Name: "process", Build: "b", PID: 43, Capabilities: []string{"terminal"}}}
	}
	b.OnUp = func(r ipc.UpRequest) (ipc.UpResult, error) {
		note("up %s %v keep=%v env=%v profiles=%v", r.Directory, r.Services, r.Keep, r.Environment, r.Profiles)
		return ipc.UpResult{Project: "/src/shop", Name: "shop", Services: []string{"db", "api"}, Changed: []string{"api"},
			Warnings: []runtime.Diagnostic{{File: "/src/shop/stead.yaml", Line: 3, Column: 5, Severity: runtime.SeverityWarning, Text: "odd"}}}, nil
	}
	b.OnCheck = func(r ipc.UpRequest) (ipc.CheckResult, error) {
		note("check %s", r.File)
		return ipc.CheckResult{File: r.File, Name: "shop", Services: []string{"db", "api"},
			Diagnostics: []runtime.Diagnostic{{File: r.File, Severity: runtime.SeverityError, Text: "bad \xff"}}}, nil
	}
	b.OnWant = func(n []supervisor.Name, up bool) error { note("want %v %v", services(n), up); return nil }
	b.OnRestart = func(n []supervisor.Name) error { note("restart %v", services(n)); return nil }
	b.OnStop = func(ctx context.Context, services bool) (int, error) {
		_, bounded := ctx.Deadline()
		note("stop services=%v bounded=%v", services, bounded)
		return 3, nil
	}
	return b
}

func services(names []supervisor.Name) []string {
	var out []string
	for _, n := range names {
		out = append(out, n.Service)
	}
	return out
}

func TestEveryUnaryCall(t *testing.T) {
	var asked []string
	s := serve(t, recording(&asked))
	ctx := t.Context()
	here := &steadpb.Selection{Directory: "/src/shop/deep/below"}
	calls := []struct {
		name  string
		call  func() (any, error)
		want  string // part of the answer's text
		asked string
	}{
		{"version", func() (any, error) { return s.Version(ctx, &steadpb.VersionRequest{}) }, `api:1 pid:42`, ""},
		{"up", func() (any, error) {
			return s.Up(ctx, &steadpb.UpRequest{Directory: "/src/shop", Services: []string{"api"}, Keep: true,
				Environment: []string{"A=b=c"}, Profiles: []string{"dev"}})
		}, `changed:"api"`, "up /src/shop [api] keep=true env=[A=b=c] profiles=[dev]"},
		{"check", func() (any, error) { return s.Check(ctx, &steadpb.CheckRequest{File: "/f.yaml"}) }, "bad \uFFFD", "check /f.yaml"},
		{"status", func() (any, error) { return s.Status(ctx, &steadpb.StatusRequest{Selection: here}) }, `urls:"http://127.0.0.1:9000"`, ""},
		{"down one", func() (any, error) {
			return s.Down(ctx, &steadpb.DownRequest{Selection: &steadpb.Selection{Project: "shop", Services: []string{"web"}}})
		}, `services:"web"`, "want [web] false"},
		{"down all", func() (any, error) { return s.Down(ctx, &steadpb.DownRequest{Selection: here}) }, `project:"/src/shop"`, "want [api db web] false"},
		{"restart", func() (any, error) {
			return s.Restart(ctx, &steadpb.RestartRequest{Selection: &steadpb.Selection{Project: "/src/shop", Services: []string{"web", "api", "web"}}})
		}, `services:"api"`, "restart [api web]"},
		{"stop", func() (any, error) {
			return s.Stop(ctx, &steadpb.StopRequest{Services: true, Timeout: durationpb.New(time.Second)})
		}, `stopped:3`, "stop services=true bounded=true"},
	}
	for _, c := range calls {
		asked = nil
		got, err := c.call()
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		// The text form of messages has a random number of spaces, on purpose.
		if text := strings.Join(strings.Fields(fmt.Sprint(got)), " "); !strings.Contains(text, c.want) {
			t.Errorf("%s: %s lacks %s", c.name, text, c.want)
		}
		if c.asked != "" && !reflect.DeepEqual(asked, []string{c.asked}) {
			t.Errorf("%s asked %q, want %q", c.name, asked, c.asked)
		}
	}
}

func TestEveryUnaryCallAsJSON(t *testing.T) {
	var asked []string
	s := serve(t, recording(&asked))
	calls := []struct{ rpc, body, key, want string }{
		{"Version", `{}`, "version", "v1"},
		{"Up", `{"directory":"/src/shop"}`, "name", "shop"},
		{"Check", `{"file":"/f"}`, "file", "/f"},
		{"Down", `{"selection":{"project":"shop"}}`, "project", "/src/shop"},
		{"Restart", `{"selection":{"project":"shop"}}`, "project", "/src/shop"},
		{"Status", `{}`, "services", "ready"},
		{"Stop", `{}`, "stopped", "3"},
	}
	for _, c := range calls {
		status, body := s.post(t, c.rpc, c.body)
		if got := fmt.Sprint(body[c.key]); status != 200 || !strings.Contains(got, c.want) {
			t.Errorf("%s: %d %s=%q, want %q", c.rpc, status, c.key, got, c.want)
		}
	}
	status, body := s.post(t, "Status", `{"selection":{"project":"shpo"}}`)
	if status != 404 || body["code"] != "not_found" || !strings.Contains(fmt.Sprint(body["message"]), `did you mean "shop"?`) {
		t.Errorf("unknown project: %d %v", status, body)
	}
	if status, body := s.post(t, "Nonsense", `{}`); status != 501 || body["code"] != "unimplemented" {
		t.Errorf("unknown rpc: %d %v", status, body)
	}
}
