package ipc_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// TestRefusedRequests has what a client may get wrong: all of it is named at
// once, with the class and hint that it is told.
func TestRefusedRequests(t *testing.T) {
	p := ipctest.Shop("api", "db", "web")
	down := p.State.Service(ipctest.Name("db"))
	down.Want.Up = false
	b := ipctest.New(ipctest.With(p, ipctest.Name("db"), down))
	s := serve(t, b)
	ctx := t.Context()
	sel := func(dir, project string, names ...string) *steadpb.Selection {
		return &steadpb.Selection{Directory: dir, Project: project, Services: names}
	}
	logs := func(r *steadpb.LogsRequest) error {
		stream, err := s.Logs(ctx, r)
		if err == nil {
			_, err = stream.Receive()
			_ = stream.Close()
		}
		return err
	}
	cases := []struct {
		name  string
		call  func() error
		class error
		texts []string // in the error or its hint
	}{
		{"up: several violations", func() error {
			_, err := s.Up(ctx, &steadpb.UpRequest{Services: []string{""}, Environment: []string{"A=1", "secret", "=x"}})
			return err
		}, runtime.Invalid, []string{"directory or file", "services[0]", "environment[1]", "environment[2]"}},
		{"up: relative", func() error { _, err := s.Up(ctx, &steadpb.UpRequest{Directory: "a", File: "b"}); return err },
			runtime.Invalid, []string{`directory: "a"`, `file: "b"`}},
		{"check: nothing", func() error { _, err := s.Check(ctx, &steadpb.CheckRequest{}); return err }, runtime.Invalid, []string{"directory or file"}},
		{"status: unknown service", func() error {
			_, err := s.Status(ctx, &steadpb.StatusRequest{Selection: sel("/src/shop", "", "wbe")})
			return err
		}, runtime.NotFound, []string{`no service "wbe", did you mean "web"?`, "known services: api, db, web"}},
		{"status: directory of no project", func() error {
			_, err := s.Status(ctx, &steadpb.StatusRequest{Selection: sel("/src/shopping", "")})
			return err
		}, runtime.NotFound, []string{"no project is known for /src/shopping", "stead up"}},
		{"restart: wanted down", func() error {
			_, err := s.Restart(ctx, &steadpb.RestartRequest{Selection: sel("", "shop", "db")})
			return err
		}, runtime.Conflict, []string{"restart db", "stead up db"}},
		{"stop: timeout", func() error {
			_, err := s.Stop(ctx, &steadpb.StopRequest{Timeout: durationpb.New(-time.Second)})
			return err
		}, runtime.Invalid, []string{"timeout"}},
		{"logs: all wrong", func() error {
			return logs(&steadpb.LogsRequest{Selection: sel("rel", ""), Last: -1, Follow: true,
				Since: timestamppb.New(ipctest.Epoch), Until: timestamppb.New(ipctest.Epoch.Add(-1))})
		}, runtime.Invalid, []string{"selection.directory", "last: -1", "until: excludes", "until: is before"}},
		{"logs: unknown", func() error { return logs(&steadpb.LogsRequest{Selection: sel("", "shop", "x")}) }, runtime.NotFound, []string{`no service "x"`}},
	}
	for _, c := range cases {
		err := c.call()
		if !errors.Is(err, c.class) {
			t.Errorf("%s: %v is not %v", c.name, err, c.class)
			continue
		}
		for _, text := range c.texts {
			if all := err.Error() + "\n" + runtime.Hint(err); !strings.Contains(all, text) {
				t.Errorf("%s: %q lacks %q", c.name, all, text)
			}
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("%s shows a value of the environment: %v", c.name, err)
		}
	}
}

func TestAmbiguousServiceIsRefused(t *testing.T) {
	p := ipctest.Shop("web")
	other := supervisor.Name{Environment: "local", Project: "/src/blog", Service: "web"}
	ready := ipctest.Ready(other, 7)
	p.State.Services[other] = &ready
	s := serve(t, ipctest.New(p))
	_, err := s.Status(t.Context(), &steadpb.StatusRequest{Selection: &steadpb.Selection{Services: []string{"web"}}})
	if !errors.Is(err, runtime.Invalid) || !strings.Contains(err.Error(), "several projects (/src/blog, shop)") {
		t.Errorf("got %v", err)
	}
	all, err := s.Status(t.Context(), &steadpb.StatusRequest{})
	if err != nil || len(all.GetServices()) != 2 {
		t.Errorf("status of everything: %v %v", all, err)
	}
}
