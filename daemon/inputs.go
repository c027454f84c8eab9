package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Watcher tells of files that really changed. Its methods may be called
// concurrently.
type Watcher interface {
	// Set says what of a project is watched from now on; nil ends it.
	Set(project string, roots []WatchRoot) error
	// Newer returns what is watched of a project and was written after since.
	Newer(project string, since time.Time) []Written
	Saves() <-chan Saved
	// Stirring names projects of which a save may be told in a moment.
	Stirring() <-chan string
	// Acting notes that something of the project is built or started because
	// of a save, until done is called, with the time when that was over: what
	// changes only then is output.
	Acting(project string) (done func(at time.Time))
}

// WatchRoot is something to watch: see daemon/watch.
type WatchRoot struct {
	Dir       string
	Flat      bool
	Include   []string
	Files     []string
	Ignore    []string
	Gitignore bool
	Poll      bool
}

// Saved is a batch of files that changed, or a warning by the watcher.
type Saved struct {
	Project string
	Paths   []string // absolute
	All     bool     // too many to tell: everything may have changed
	Warning string   // with its hint; the rest is empty then
}

// Written is a file with the time of its content.
type Written struct {
	Path string
	Time time.Time
}

// Inputs are the files that a service is made of.
type Inputs interface {
	Roots() []WatchRoot
	Affects(path string) bool
	// Stale reports whether a change at path may make other files the inputs.
	Stale(path string) bool
}

// Run runs a command beside the services of a project, in its environment,
// and hands its output on as it comes.
type Run func(ctx context.Context, command []string, dir string, environment map[string]string, stdout func([]byte)) error

// Inputter finds the inputs of services.
type Inputter interface {
	// Guess answers at once; nil: the service is not watched.
	Guess(s Service) Inputs
	// Find looks closely, and may run tools for it; it returns the guess where
	// nothing better is known.
	Find(ctx context.Context, s Service, run Run) (Inputs, error)
}

// runLimit bounds a tool that is asked for inputs. The first `go list` of a
// large module on a cold disk takes its time.
const runLimit = 2 * time.Minute

// runIn returns a Run for a project. Tools run in the runtime: nothing of them
// is left when the daemon dies.
func (d *Daemon) runIn(p Project) Run {
	return func(ctx context.Context, command []string, dir string, environment map[string]string, stdout func([]byte)) error {
		ctx, cancel := context.WithTimeout(ctx, runLimit)
		defer cancel()
		l, err := d.runtime(ctx)
		if err != nil {
			return err
		}
		spec := runtime.Spec{
			ID:      runtime.ID{Environment: d.environment, Project: p.ID, Service: ":inputs", Number: 1},
			Command: command, Dir: dir, Environment: environment, Inherited: p.Environment, Replicas: 1,
			Restart: runtime.Restart{Policy: runtime.RestartNo},
			Stop:    runtime.Stop{Signal: "TERM", Grace: commandGrace},
		}
		session, err := l.Terminal(ctx, runtime.TerminalRequest{Run: &spec})
		if err != nil {
			return err
		}
		defer session.Close()
		return copyOutput(session, command[0], stdout)
	}
}

// keptComplaint bounds what is kept of a tool's complaint.
const keptComplaint = 4 << 10

// copyOutput hands standard output on until the command ends; the error says
// what the command has complained of.
func copyOutput(session runtime.Session, name string, stdout func([]byte)) error {
	var complaint []byte
	for {
		out, err := session.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%s: its end was not seen: %w", name, runtime.Unavailable)
		case err != nil:
			return fmt.Errorf("%s: %w", name, err)
		case out.Exit != nil && out.Exit.Success():
			return nil
		case out.Exit != nil:
			return fmt.Errorf("%s: %s: %s", name, exitText(*out.Exit), bytes.TrimSpace(complaint))
		case out.Stream == runtime.StreamStderr:
			complaint = append(complaint, out.Data[:min(len(out.Data), keptComplaint-len(complaint))]...)
		default:
			stdout(out.Data)
		}
	}
}
