package process

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// instance is one attempt of one replica. It belongs to its probes, and after
// its end to conclude; but wasReady and why are the keeper's. While it is idle
// only its output has goroutines.
type instance struct {
	id       runtime.InstanceID
	child    *child
	tree     *tree
	env      []string // of an exec probe
	ports    map[string]int
	began    time.Time
	screen   *screen  // nil unless it has a terminal
	ears     *ears    // nil unless a log probe needs them
	notices  *notices // nil unless a notify probe needs them
	output   []*os.File
	attended sync.WaitGroup // by probes
	copies   sync.WaitGroup // of output into the log
	wasReady bool
	why      string // it was killed for its own fault
}

// drainLimit is for output after the last process: who else holds the pipe is
// no concern of ours.
const drainLimit = time.Second

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
	if len(k.spec.Sockets) > 0 {
		err = refused(k.spec.Command[0], path)
	}
	if err != nil {
		return nil, err
	}
	if err := k.vacant(ports); err != nil {
		return nil, err
	}
	in := &instance{id: id, ports: ports, began: k.r.now()}
	if env, err = in.prepare(k, env); err != nil {
		return nil, err
	}
	if err := in.exec(k, path, env); err != nil {
		if in.notices != nil {
			in.notices.release()
		}
		return nil, err
	}
	return in, nil
}

// prepare makes what the probes need, and returns env with it.
func (in *instance) prepare(k *keeper, env []string) ([]string, error) {
	var err error
	if ready := k.spec.Ready; ready != nil && ready.Kind == runtime.ProbeLog {
		if in.ears, err = newEars(ready.Text); err != nil {
			return nil, err // cannot happen: validate has read it
		}
	}
	if listensTo(k.spec) {
		if in.notices, err = k.r.openNotices(); err != nil {
			return nil, err
		}
		env = in.notices.variables(env, k.spec.Live)
	}
	if usesEnvironment(k.spec) {
		in.env = env // else not kept: it is several KB
	}
	return env, nil
}

// exec starts the process and what goes with its output and messages.
func (in *instance) exec(k *keeper, path string, env []string) error {
	group, err := k.r.cgroups.open(k.spec.Limits)
	if err != nil {
		return err
	}
	stdio, err := in.openOutput(k)
	if err != nil {
		group.remove()
		return fmt.Errorf("open its standard streams: %w", err)
	}
	defer stdio.close()
	attr := &syscall.ProcAttr{Dir: k.spec.Dir, Env: env, Files: stdio.fds(), Sys: &syscall.SysProcAttr{Setsid: true}}
	file, argv := path, k.spec.Command
	if len(k.spec.Sockets) > 0 {
		given, fds := k.r.listeners.of(k.spec.Sockets)
		attr.Env, attr.Files = socketVariables(env, given), append(attr.Files, fds...)
		file, argv = throughShell(path, argv, attr.Env, path == k.path)
	}
	if in.screen != nil {
		attr.Sys.Setctty, attr.Sys.Ctty = true, 0
	}
	in.tree = k.r.children.plant(in.id.String(), group)
	in.child, err = k.r.children.start(in.tree, file, argv, attr)
	if err != nil {
		k.r.uproot(in.tree)
		for _, f := range in.output {
			f.Close()
		}
		return explainExec(k.spec.Command[0], file, err)
	}
	in.copyOutput(k.out)
	if in.notices != nil {
		go in.notices.listen(func(pid int) bool { return k.r.children.belongs(pid, in.tree) }) // ends with notices.close
	}
	return nil
}

// uproot forgets a tree that has no process, and returns its leftovers.
func (r *Runtime) uproot(t *tree) int {
	t.cgroup.remove()
	return r.children.fell(t)
}

// vacant fails when somebody else serves the port that the probe would ask:
// the probe would call an instance ready that is not. Replicas that share a
// port see each other there, and are not checked; a private port is free.
func (k *keeper) vacant(ports map[string]int) error {
	probe := k.spec.Ready
	if !probe.UsesPort() || len(k.state.replicas) > 1 {
		return nil
	}
	port := ports[probe.Port]
	if k.privatePort(probe.Port) || k.givenPort(port) || !taken(context.Background(), port) {
		return nil
	}
	if owner := k.r.ports.owner(port); owner != "" {
		return fmt.Errorf("port %d is already taken: %s", port, privately(owner))
	}
	for _, who := range holders(func(a netip.AddrPort) bool { return int(a.Port()) == port }) {
		return fmt.Errorf("port %d is already taken by %s", port, who)
	}
	return fmt.Errorf("port %d is already taken", port)
}

func (k *keeper) privatePort(name string) bool {
	return slices.ContainsFunc(k.spec.Ports, func(p runtime.Port) bool { return p.Name == name && p.Number == 0 })
}

// givenPort reports whether one of the sockets that instances are given is on
// port: it is the runtime that listens there.
func (k *keeper) givenPort(port int) bool {
	return slices.ContainsFunc(k.spec.Sockets, func(s runtime.Socket) bool {
		address, err := socketAddress(s)
		return err == nil && int(address.Port()) == port
	})
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
	if in.screen != nil {
		streams = []runtime.Stream{runtime.StreamTerminal}
	}
	for i, f := range in.output {
		tee := in.tee()
		in.copies.Add(1)
		go func() {
			defer in.copies.Done()
			defer f.Close()
			to.Copy(f, in.id, streams[i], tee)
		}()
	}
}

// tee returns who else is given a stream's output, nil for nobody.
func (in *instance) tee() func([]byte) {
	switch {
	case in.ears == nil && in.screen == nil:
		return nil
	case in.ears == nil:
		return in.screen.show
	case in.screen == nil:
		return in.ears.ear()
	}
	hear := in.ears.ear()
	return func(data []byte) {
		in.screen.show(data)
		hear(data)
	}
}

// follow has the instance attended, and concluded when its process has ended.
func (in *instance) follow(k *keeper) {
	if k.spec.Ready != nil || k.spec.Live != nil {
		in.attended.Go(func() { in.attend(k) }) // ends with the process, at the latest
	}
	k.r.work.Add(1) // until it is concluded
	k.r.children.after(in.child, func() { in.conclude(k) })
}

// conclude ends what is left of the tree of a process that has ended, and
// posts its exit.
func (in *instance) conclude(k *keeper) {
	defer k.r.work.Done()
	in.attended.Wait()
	k.r.sweeper.end(in.tree)
	in.notices.close()
	in.drain()
	exit := exitOf(in.child.status)
	exit.OOM = k.r.oom.killed(in.child.pid, in.child.status) || exit.Signal == "SIGKILL" && in.tree.cgroup.outOfMemory()
	exit.Expected = !exit.OOM && expected(k.spec.SuccessCodes, in.child.status)
	exit.Leftovers = k.r.uproot(in.tree)
	if in.screen != nil {
		in.screen.end(exit)
	}
	k.post(fact{kind: factExited, replica: in.id.Replica, attempt: in.id.Attempt, exit: exit})
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

// expected reports whether status is one of codes, where 128 and a signal's
// number stand for that signal.
func expected(codes []int, status syscall.WaitStatus) bool {
	code := status.ExitStatus()
	if status.Signaled() {
		code = 128 + int(status.Signal())
	}
	return slices.Contains(codes, code)
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
