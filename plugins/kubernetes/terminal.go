package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/stead-dev/stead/runtime"
)

// Terminal implements runtime.Runtime: attach is that of Kubernetes, and a
// command is run by exec in a pod of the service, with the environment and the
// directory of the container: what a Spec says of these was made for the
// service too, and secrets in the words of a command would be in audit logs.
// ctx ends the session.
//
// A command of which the session is closed goes on until it misses its input
// or its output: the cluster has no way to end it.
func (r *Runtime) Terminal(ctx context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	if r.config == nil {
		return nil, fmt.Errorf("terminal: without a cluster: %w", runtime.Unsupported)
	}
	switch {
	case req.Attach != nil && req.Run == nil:
		s, err := attachable(r.pods(), *req.Attach)
		if err != nil {
			return nil, fmt.Errorf("attach to %s: %w", req.Attach.ID.Label(), err)
		}
		at := r.podURL(s, "attach", &corev1.PodAttachOptions{Container: s.name(), Stdin: true, Stdout: true, TTY: true})
		return r.session(ctx, at, req.Size, true, func(ctx context.Context) *runtime.Exit { return r.exitOf(ctx, s) })
	case req.Run != nil && req.Attach == nil:
		s, err := host(ctx, r.pods(), req.Run.ID)
		if err != nil {
			return nil, fmt.Errorf("run %s in a pod of %s: %w", first(req.Run.Command), beside(req.Run.ID), err)
		}
		at := r.podURL(s, "exec", &corev1.PodExecOptions{
			Container: s.name(), Command: req.Run.Command, Stdin: true, Stdout: true, Stderr: !req.Run.Terminal, TTY: req.Run.Terminal,
		})
		return r.session(ctx, at, req.Size, req.Run.Terminal, nil)
	}
	return nil, fmt.Errorf("terminal: either attach or run: %w", runtime.Invalid)
}

func first(command []string) string {
	if len(command) == 0 {
		return "nothing"
	}
	return command[0]
}

// beside is whose pod a command runs in: beside "web" it is called "web:run".
func beside(id runtime.ID) string {
	name, _, _ := strings.Cut(id.Service, ":")
	return name
}

func attachable(p pods, id runtime.InstanceID) (sight, error) {
	seen, known, _ := p.look(id.ID)
	if !known {
		return sight{}, fmt.Errorf("no such generation: %w", runtime.NotFound)
	}
	for _, s := range seen {
		if !s.tty {
			err := fmt.Errorf("it has no terminal: %w", runtime.Unsupported)
			return sight{}, runtime.WithHint(err, "give the service terminal: true")
		}
		if s.replica == id.Replica && s.running() && (id.Attempt == 0 || id.Attempt == s.attempt()) {
			return s, nil
		}
	}
	return sight{}, fmt.Errorf("it does not run now: %w", runtime.Unavailable)
}

// host picks a pod for a command: of the generation that is routed if it can,
// else of the newest, and one that is ready if there is one.
func host(ctx context.Context, p pods, id runtime.ID) (sight, error) {
	id.Service, id.Number = beside(id), 0
	seen, known, _ := p.look(id)
	switch {
	case id.Service == "":
		err := fmt.Errorf("a command needs a service, whose image it runs in: %w", runtime.Invalid)
		return sight{}, runtime.WithHint(err, "name one: stead exec SERVICE -- COMMAND")
	case !known:
		return sight{}, fmt.Errorf("no such service: %w", runtime.NotFound)
	}
	seen = slices.DeleteFunc(slices.Clone(seen), func(s sight) bool { return !s.running() })
	if len(seen) == 0 {
		return sight{}, fmt.Errorf("none of its pods runs now: %w", runtime.Unavailable)
	}
	routed, _ := p.routed(ctx, id) // else one is as good as the other
	rank := func(s sight) int {
		n := 0
		if s.ready() {
			n++
		}
		if s.id.Number == routed {
			n += 2
		}
		return n
	}
	return slices.MaxFunc(seen, func(a, b sight) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.id.Number, b.id.Number))
	}), nil
}

// podURL is where a subresource of a pod is.
func (r *Runtime) podURL(s sight, sub string, options k8sruntime.Object) *url.URL {
	req := r.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(s.pod.Namespace).Name(s.pod.Name).SubResource(sub)
	if options != nil {
		req = req.VersionedParams(options, scheme.ParameterCodec)
	}
	return req.URL()
}

// executor speaks WebSocket, or SPDY to servers that do not.
func executor(config *rest.Config, at *url.URL) (remotecommand.Executor, error) {
	websocket, err := remotecommand.NewWebSocketExecutor(config, "GET", at.String())
	if err != nil {
		return nil, err
	}
	spdy, err := remotecommand.NewSPDYExecutor(config, "POST", at)
	if err != nil {
		return nil, err
	}
	return remotecommand.NewFallbackExecutor(websocket, spdy, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	})
}

// exitOf waits for how the container ended that somebody was attached to. An
// attachment may also end alone: then there is no exit.
func (r *Runtime) exitOf(ctx context.Context, s sight) *runtime.Exit {
	began, _ := s.container()
	for {
		seen, _, changed := r.pods().look(s.id)
		now, ok := find(seen, s)
		if !ok {
			return &runtime.Exit{Code: -1, Lost: true, Error: "the pod was deleted"}
		}
		c, _ := now.container()
		for _, t := range []*corev1.ContainerStateTerminated{c.State.Terminated, c.LastTerminationState.Terminated} {
			if t != nil && t.ContainerID == began.ContainerID {
				return &runtime.Exit{Code: int(t.ExitCode), OOM: t.Reason == "OOMKilled"}
			}
		}
		if !wait(ctx, changed) {
			return nil
		}
	}
}
