package process

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// instance is one attempt of one replica. Until follow has posted its exit,
// follow owns it; but wasReady and why are the keeper's.
type instance struct {
	id       runtime.InstanceID
	child    *child
	tree     *tree
	env      []string // of an exec probe
	ports    map[string]int
	began    time.Time
	screen   *screen // nil unless it has a terminal
	output   []*os.File
	copies   sync.WaitGroup // of output into the log
	wasReady bool
	why      string // it was killed for its own fault
}

const (
	drainLimit   = time.Second // for output after the last process: who else holds the pipe is no concern of ours
	unreadyAfter = time.Second // then Watch is told what the probe sees
)

// launch starts a process for id. Its errors are for users.
func (k *keeper) launch(id runtime.InstanceID) (*instance, error) {
	ports, err := k.takePorts(id.Replica)
	if err != nil {
		return nil, err
	}
	env := environment(k.spec, k.r.options.Environment, ports, id.String())
	path, err := k.executable(env)
	if err != nil {
		return nil, err
	}
	if err := k.vacant(ports); err != nil {
		return nil, err
	}
	in := &instance{id: id, ports: ports, began: k.r.now()}
	if k.spec.Ready != nil && k.spec.Ready.Kind == runtime.ProbeExec {
		in.env = env // else not kept: it is several KB
	}
	stdio, err := in.openOutput(k)
	if err != nil {
		return nil, fmt.Errorf("open its standard streams: %w", err)
	}
	defer stdio.close()
	attr := &syscall.ProcAttr{Dir: k.spec.Dir, Env: env, Files: stdio.fds(), Sys: &syscall.SysProcAttr{Setsid: true}}
	if in.screen != nil {
		attr.Sys.Setctty, attr.Sys.Ctty = true, 0
	}
	in.tree = k.r.children.plant(id.String(), k.r.cgroups.open())
	in.child, err = k.r.children.start(in.tree, path, k.spec.Command, attr)
	if err != nil {
		k.r.uproot(in.tree)
		for _, f := range in.output {
			f.Close()
		}
		return nil, explainExec(k.spec.Command[0], path, err)
	}
	in.copyOutput(k.out)
	return in, nil
}

// uproot forgets a tree that has no process, and returns its leftovers.
func (r *Runtime) uproot(t *tree) int {
	t.cgroup.remove()
	return r.children.fell(t)
}

// vacant fails when somebody else serves the port that the probe would ask:
// the probe would call an instance ready that is not. Replicas that share a
// port see each other there, and are not checked.
func (k *keeper) vacant(ports map[string]int) error {
	probe := k.spec.Ready
	if probe == nil || probe.Kind == runtime.ProbeExec || len(k.state.replicas) > 1 {
		return nil
	}
	port := ports[probe.Port]
	if !taken(context.Background(), port) {
		return nil
	}
	if who := holder(port); who != "" {
		return fmt.Errorf("port %d is already taken by %s", port, who)
	}
	return fmt.Errorf("port %d is already taken", port)
}

// stdio is the child's side of its standard streams.
type stdio struct {
	in, out, err *os.File
	keep         bool // in is shared with others
}

func (s *stdio) fds() []uintptr { return []uintptr{s.in.Fd(), s.out.Fd(), s.err.Fd()} }

func (s *stdio) close() {
	if !s.keep {
		s.in.Close()
	}
	if s.out != s.in {
		s.out.Close()
	}
	if s.err != s.out {
		s.err.Close()
	}
}

// openOutput makes pipes or a terminal; ours are the ends in in.output.
func (in *instance) openOutput(k *keeper) (*stdio, error) {
	if k.spec.Terminal {
		master, tty, err := openTerminal(runtime.Size{})
		if err != nil {
			return nil, err
		}
		in.screen = newScreen(master)
		in.output = []*os.File{master}
		return &stdio{in: tty, out: tty, err: tty}, nil
	}
	out, outEnd, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	errs, errsEnd, err := os.Pipe()
	if err != nil {
		out.Close()
		outEnd.Close()
		return nil, err
	}
	in.output = []*os.File{out, errs}
	// Fd makes the child's ends blocking, as every program expects of its
	// standard output; ours stay with the poller.
	return &stdio{in: k.r.null, out: outEnd, err: errsEnd, keep: true}, nil
}

// copyOutput starts the goroutines that end with the output.
func (in *instance) copyOutput(to Writer) {
	streams := []runtime.Stream{runtime.StreamStdout, runtime.StreamStderr}
	var tee func([]byte)
	if in.screen != nil {
		streams, tee = []runtime.Stream{runtime.StreamTerminal}, in.screen.show
	}
	for i, f := range in.output {
		in.copies.Add(1)
		go func() {
			defer in.copies.Done()
			defer f.Close()
			to.Copy(f, in.id, streams[i], tee)
		}()
	}
}

// follow goes with the instance from its start to the end of its whole tree,
// and posts what it sees.
func (in *instance) follow(k *keeper) {
	defer k.r.work.Done()
	if k.spec.Ready != nil {
		in.probe(k)
	}
	<-in.child.exited
	k.r.sweeper.end(in.tree)
	in.drain()
	exit := exitOf(in.child.status)
	exit.OOM = k.r.oom.killed(in.child.pid, in.child.status)
	exit.Leftovers = k.r.uproot(in.tree)
	if in.screen != nil {
		in.screen.end(exit)
	}
	k.box.post(fact{kind: factExited, replica: in.id.Replica, attempt: in.id.Attempt, exit: exit})
}

// probe asks until the instance is ready or gone.
func (in *instance) probe(k *keeper) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stop := make(chan struct{})
	defer close(stop)
	go func() { // ends with probe
		select {
		case <-in.child.exited:
			cancel()
		case <-stop:
		}
	}()
	run := func(ctx context.Context, command []string) error { return in.check(ctx, k, command) }
	pause, told, late := probeFirst, "", false
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for {
		err := ask(ctx, k.spec.Ready, in.ports[k.spec.Ready.Port], run)
		if ctx.Err() != nil {
			return
		}
		f := fact{kind: factProbed, replica: in.id.Replica, attempt: in.id.Attempt}
		if err == nil {
			f.readiness.Ready = true
			k.box.post(f)
			return
		}
		old := k.r.now().Sub(in.began) >= unreadyAfter
		if text := err.Error(); text != told || old && !late {
			told, late, f.readiness.Detail = text, old, text
			k.box.post(f)
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if every := k.spec.Ready.Interval; every > 0 {
			pause = every
		} else {
			pause = min(pause*6/5, probeMost)
		}
	}
}

// check runs an exec probe in the instance's tree.
func (in *instance) check(ctx context.Context, k *keeper, command []string) error {
	path, err := lookUp(command[0], k.spec.Dir, in.env)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	one, err := k.r.children.start(in.tree, path, command, &syscall.ProcAttr{
		Dir: k.spec.Dir, Env: in.env, Files: []uintptr{k.r.null.Fd(), null.Fd(), null.Fd()},
		Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return explainExec(command[0], path, err)
	}
	select {
	case <-one.exited:
	case <-ctx.Done():
		k.r.children.signal(one, syscall.SIGKILL)
		<-one.exited
		return fmt.Errorf("%s did not end in time", command[0])
	}
	if exit := exitOf(one.status); !exit.Success() {
		return fmt.Errorf("%s: %s", command[0], describe(exit))
	}
	return nil
}

// drain waits for the last output.
func (in *instance) drain() {
	limit := time.AfterFunc(drainLimit, func() {
		for _, f := range in.output {
			f.Close()
		}
	})
	defer limit.Stop()
	in.copies.Wait()
}

func exitOf(status syscall.WaitStatus) runtime.Exit {
	if status.Signaled() {
		return runtime.Exit{Code: -1, Signal: unix.SignalName(status.Signal()), Core: status.CoreDump()}
	}
	return runtime.Exit{Code: status.ExitStatus()}
}

func endpoints(spec *runtime.Spec, ports map[string]int) map[string]string {
	if len(spec.Ports) == 0 {
		return nil
	}
	all := make(map[string]string, len(spec.Ports))
	for _, p := range spec.Ports {
		all[p.Name] = net.JoinHostPort("127.0.0.1", strconv.Itoa(ports[p.Name]))
	}
	return all
}
