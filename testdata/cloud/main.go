// Command cloud is a runtime that plays a cluster, for tests without one: what
// it runs is only told of. It takes the arguments of stead-runtime-kubernetes.
// A service whose variable CRASH is set ends at once; one whose variable
// UNREADY is set never gets ready. Each connection to a port gets an answer
// to HTTP that names the service, its generation and the port.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/conformance/fake"
	"github.com/stead-dev/stead/runtime/plugin"
)

var arguments = map[string]*string{}

func main() {
	for _, name := range []string{"dir", "kubeconfig", "context", "namespace", "project", "environment", "registry", "load", "cache"} {
		arguments[name] = flag.String(name, "", "as stead-runtime-kubernetes has it")
	}
	flag.Parse()
	c := &cloud{there: map[string]runtime.Spec{}}
	c.Runtime = fake.New(fake.Options{
		Script: c.script, Preview: c.preview, PID: os.Getpid(), Build: "play",
		Capabilities: []string{runtime.CapabilityTerminal, runtime.CapabilityRoute, runtime.CapabilityConnect, runtime.CapabilityPreview},
	})
	err := plugin.Serve(context.Background(), plugin.ServeOptions{
		Dir: *arguments["dir"], Runtime: c, Build: "play", Log: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(plugin.ExitCode(err))
}

// cloud remembers what was started, for previews.
type cloud struct {
	*fake.Runtime
	mu    sync.Mutex
	there map[string]runtime.Spec // by service
}

func (c *cloud) Start(ctx context.Context, spec runtime.Spec) (runtime.Handle, error) {
	handle, err := c.Runtime.Start(ctx, spec)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.there[spec.ID.Service] = spec
	}
	return handle, err
}

func (c *cloud) Stop(ctx context.Context, id runtime.ID, how runtime.StopRequest) error {
	c.mu.Lock()
	if c.there[id.Service].ID == id {
		delete(c.there, id.Service)
	}
	c.mu.Unlock()
	return c.Runtime.Stop(ctx, id, how)
}

func (c *cloud) script(spec runtime.Spec, i runtime.InstanceID) fake.Act {
	act := fake.Act{
		Output: fmt.Sprintf("%s runs %s in %s of %s\n", spec.ID.Label(), strings.Join(spec.Command, " "), *arguments["namespace"], *arguments["context"]),
		Unable: spec.Environment["UNREADY"] != "",
	}
	if spec.OneShot {
		act.Exit = &runtime.Exit{}
	}
	if spec.Environment["CRASH"] != "" {
		act.Exit = &runtime.Exit{Code: 3}
	}
	act.Serve = func(port string, conn runtime.Conn) {
		if req, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			body := fmt.Sprintf("%s/%d %s%s\n", i.ID.Label(), i.Replica, port, req.URL.Path)
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}
	return act
}

func (c *cloud) preview(req runtime.PreviewRequest) ([]runtime.Preview, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []runtime.Preview
	if req.Kind == runtime.PreviewRemove {
		for name := range c.there {
			all = append(all, runtime.Preview{Kind: "Deployment", Name: name, Service: name, Action: "remove"})
		}
		slices.SortFunc(all, func(a, b runtime.Preview) int { return strings.Compare(a.Name, b.Name) })
		return all, nil
	}
	for _, spec := range req.Specs {
		name := spec.ID.Service
		one := runtime.Preview{Kind: "Deployment", Name: name, Service: name}
		old, known := c.there[name]
		switch req.Kind {
		case runtime.PreviewRender, runtime.PreviewOpen:
			text, err := json.MarshalIndent(spec, "", "  ")
			if err != nil {
				return nil, err
			}
			one.Text = string(text)
		case runtime.PreviewDiff:
			one.Action = "none"
			if !known {
				one.Action, one.Text = "create", "+ "+name
			} else if old.Hash() != spec.Hash() {
				one.Action, one.Text = "change", "- "+old.Hash()[:8]+"\n+ "+spec.Hash()[:8]
			}
		case runtime.PreviewImage:
			one.Kind, one.Name, one.Text = "Image", *arguments["registry"]+"/"+name, "sha256:"+spec.Hash()
			if _, err := os.Stat(spec.Dir + "/" + spec.Package.Files[0]); err != nil {
				return nil, fmt.Errorf("pack %s: %w: %w", name, err, runtime.Invalid)
			}
		}
		all = append(all, one)
	}
	return all, nil
}
