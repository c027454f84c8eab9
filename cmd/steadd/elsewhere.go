package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/stead-dev/stead/daemon"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/plugin"
	"github.com/stead-dev/stead/runtime/split"
)

// runtimeVariable names another binary than the one beside this one, for
// tests without a cluster.
const runtimeVariable = "STEAD_RUNTIME_KUBERNETES"

// connector joins the runtime of this machine, which runs the builds, with the
// one of the place. Until there is a target the latter is nowhere.
func (p *place) connector(local daemon.Connector) daemon.Connector {
	return func(ctx context.Context) (daemon.Link, error) {
		here, err := local(ctx)
		if err != nil {
			return nil, err
		}
		to, moved := p.target()
		options := split.Options{Here: here, Nowhere: p.nowhere(), Positions: p.positions}
		if to.known() {
			there, err := p.attach(ctx, to)
			if err != nil {
				return nil, errors.Join(err, here.Close())
			}
			options.There = there
		}
		return &joined{split.New(options), moved}, nil
	}
}

func (p *place) nowhere() error {
	return runtime.WithHint(fmt.Errorf("it is not known yet where %s is: %w", p.name, runtime.Unavailable), "run `stead --env "+p.name+" up` first")
}

// joined is a link that ends when the place is another one.
type joined struct {
	*split.Runtime
	moved <-chan struct{}
}

// Outdated reports whether that has happened.
func (j *joined) Outdated() bool {
	select {
	case <-j.moved:
		return true
	default:
		return false
	}
}

var errMoved = errors.New("the environment has another target now")

// Watch ends with errMoved, so that the daemon connects anew.
func (j *joined) Watch(ctx context.Context, fn func(runtime.Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	over := make(chan struct{})
	go func() { // ends with ctx, which ends with this call
		defer close(over)
		select {
		case <-j.moved:
			cancel(errMoved)
		case <-ctx.Done():
		}
	}()
	err := j.Runtime.Watch(ctx, fn)
	if errors.Is(context.Cause(ctx), errMoved) {
		err = errMoved
	}
	cancel(nil)
	<-over
	return err
}

// attach finds the runtime that serves a target, or starts it; one that serves
// another is ended first, which is nothing to what it has started.
func (p *place) attach(ctx context.Context, to pin) (daemon.Link, error) {
	dir := p.directory(to)
	if err := p.endOthers(ctx, dir); err != nil {
		return nil, err
	}
	path := os.Getenv(runtimeVariable)
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("find own executable: %w", err)
		}
		path = filepath.Join(filepath.Dir(self), "stead-runtime-kubernetes")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, runtime.WithHint(fmt.Errorf("find the runtime of %s: %w", p.name, err), "install stead-runtime-kubernetes beside stead")
	}
	return plugin.Ensure(ctx, plugin.LaunchOptions{
		Path: path, Dir: dir, Args: strings.Split(arguments(to, dir, filepath.Join(p.home.State, "images")), "\x00"), Env: p.environment(),
		LogFile: filepath.Join(p.home.State, "kubernetes.log"), Log: p.log,
	})
}

// environment is that of the runtime: all of ours, as what a kubeconfig names
// to log in may need any of it. Nothing of stead's ends it.
func (p *place) environment() []string {
	var kept []string
	for _, one := range os.Environ() {
		if name, _, _ := strings.Cut(one, "="); name != "STEAD_ORPHAN_TTL" && name != "STEAD_HOME" && name != "NOTIFY_SOCKET" {
			kept = append(kept, one)
		}
	}
	return kept
}

// directory is where the runtime of a target is found: another target is
// another directory. It is short, as a socket's path has to be.
func (p *place) directory(to pin) string {
	sum := sha256.Sum256([]byte(arguments(to, "", "")))
	return filepath.Join(p.home.Run, directoryPrefix+hex.EncodeToString(sum[:3]))
}

const directoryPrefix = "k-"

// arguments of the runtime for a target, with a NUL between them.
func arguments(to pin, dir, cache string) string {
	args := []string{"--dir", dir, "--cache", cache, "--environment", to.Name, "--namespace", to.Namespace, "--project", to.Project}
	for _, one := range [][2]string{{"--kubeconfig", to.Kubeconfig}, {"--context", to.Context}, {"--registry", to.Registry}, {"--load", to.Load}} {
		if one[1] != "" {
			args = append(args, one[0], one[1])
		}
	}
	return strings.Join(args, "\x00")
}

// endLimit bounds how long a runtime that is needed no more may hold its
// directory after it was killed.
const endLimit = 5 * time.Second

// endOthers ends the runtimes of earlier targets. They are killed: asked to
// end, they would stop what they run.
func (p *place) endOthers(ctx context.Context, but string) error {
	others, err := filepath.Glob(filepath.Join(p.home.Run, directoryPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range others {
		if dir == but {
			continue
		}
		if err := end(ctx, dir); err != nil {
			return fmt.Errorf("end the runtime of the target before: %w", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	return nil
}

// end kills the runtime that serves dir. That it answered a moment ago, on a
// connection that is still open, is what tells its pid from a stranger's.
func end(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, endLimit)
	defer cancel()
	c, err := plugin.Attach(ctx, dir)
	if err != nil {
		if runtime.Class(err) == runtime.NotFound {
			return nil
		}
		return err
	}
	defer c.Close()
	who, err := c.Describe(ctx, runtime.ContractVersion)
	if err != nil || who.PID <= 0 {
		return err
	}
	if err := syscall.Kill(who.PID, syscall.SIGKILL); err != nil {
		return err
	}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		if _, err := c.Describe(ctx, runtime.ContractVersion); err != nil {
			return ctx.Err()
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
