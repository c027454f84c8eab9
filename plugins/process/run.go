package process

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"syscall"

	"github.com/stead-dev/stead/runtime"
)

// runSession is a command that runs beside a service, with its input and
// output. Unlike a service it waits for a slow reader, as in a pipe.
type runSession struct {
	r        *Runtime
	id       runtime.InstanceID
	child    *child
	tree     *tree
	input    *os.File // a pipe's end, or the terminal
	terminal bool
	output   []*os.File
	blocks   chan runtime.TerminalOutput
	closed   chan struct{} // by Close: nobody reads any more
	ended    chan struct{} // by follow: nothing of its tree is left
	pumps    sync.WaitGroup

	mu   sync.Mutex
	done bool // closed is closed
}

var _ runtime.Session = (*runSession)(nil)

const runBlock = 32 << 10 // largest output of one Receive

// run starts spec's command with the environment of the service it is for.
func (r *Runtime) run(spec *runtime.Spec, size runtime.Size) (runtime.Session, error) {
	if err := validate(spec); err != nil {
		return nil, fmt.Errorf("run %s: %w", spec.ID.Label(), err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closing {
		return nil, fmt.Errorf("run %s: %w: %w", spec.ID.Label(), errClosing, runtime.Unavailable)
	}
	r.runs++
	s := &runSession{
		r: r, id: runtime.InstanceID{ID: spec.ID, Replica: -1, Attempt: r.runs}, terminal: spec.Terminal,
		blocks: make(chan runtime.TerminalOutput), closed: make(chan struct{}), ended: make(chan struct{}),
	}
	if err := s.start(spec, size); err != nil {
		return nil, fmt.Errorf("run %s: %w: %w", spec.ID.Label(), err, runtime.Unavailable)
	}
	r.sessions[s] = struct{}{}
	r.work.Add(1)
	go s.follow()
	return s, nil
}

func (s *runSession) start(spec *runtime.Spec, size runtime.Size) error {
	ports := map[string]int{}
	for _, p := range spec.Ports {
		ports[p.Name] = p.Number
	}
	env := environment(spec, s.r.options.Environment, ports, s.id.String())
	path, err := lookUp(spec.Command[0], spec.Dir, env)
	if err != nil {
		return err
	}
	io, err := s.open(size)
	if err != nil {
		return err
	}
	defer io.close()
	attr := &syscall.ProcAttr{Dir: spec.Dir, Env: env, Files: io.fds(), Sys: &syscall.SysProcAttr{Setsid: true}}
	if s.terminal {
		attr.Sys.Setctty, attr.Sys.Ctty = true, 0
	}
	group, err := s.r.cgroups.open(runtime.Limits{}) // the service's are not for whoever looks at it
	if err != nil {
		return err
	}
	s.tree = s.r.children.plant(s.id.String(), group)
	s.child, err = s.r.children.start(s.tree, path, spec.Command, attr)
	if err != nil {
		s.r.uproot(s.tree)
		s.closeFiles()
		return explainExec(spec.Command[0], path, err)
	}
	s.r.records.start(s.id, s.child.pid)
	streams := []runtime.Stream{runtime.StreamStdout, runtime.StreamStderr}
	if s.terminal {
		streams[0] = runtime.StreamTerminal
	}
	for i, f := range s.output {
		s.pumps.Add(1)
		go s.pump(f, streams[i])
	}
	return nil
}

// open makes the streams, and returns the child's ends.
func (s *runSession) open(size runtime.Size) (*stdio, error) {
	if s.terminal {
		master, tty, err := openTerminal(size)
		if err != nil {
			return nil, err
		}
		s.input, s.output = master, []*os.File{master}
		return &stdio{in: tty, out: tty, err: tty}, nil
	}
	var ends [6]*os.File
	for i := 0; i < len(ends); i += 2 {
		var err error
		if ends[i], ends[i+1], err = os.Pipe(); err != nil {
			for _, f := range ends[:i] {
				f.Close()
			}
			return nil, err
		}
	}
	s.input, s.output = ends[1], []*os.File{ends[2], ends[4]}
	return &stdio{in: ends[0], out: ends[3], err: ends[5]}, nil
}

// pump hands output on until its end, or until nobody wants it.
func (s *runSession) pump(f *os.File, stream runtime.Stream) {
	defer s.pumps.Done()
	for {
		block := make([]byte, runBlock)
		n, err := f.Read(block)
		if n > 0 {
			select {
			case s.blocks <- runtime.TerminalOutput{Data: block[:n], Stream: stream}:
			case <-s.closed:
				return
			}
		}
		if err != nil { // EOF; EIO at a terminal
			return
		}
	}
}

// follow ends with the tree and its output.
func (s *runSession) follow() {
	defer s.r.work.Done()
	<-s.child.exited
	s.r.sweeper.end(s.tree)
	exit := exitOf(s.child.status)
	exit.OOM = s.r.oom.killed(s.child.pid, s.child.status)
	exit.Leftovers = s.r.uproot(s.tree)
	s.r.records.exit(s.id, exit)
	close(s.ended)
	s.pumps.Wait()
	select {
	case s.blocks <- runtime.TerminalOutput{Exit: &exit}:
	case <-s.closed:
	}
	close(s.blocks)
	s.closeFiles()
	s.r.mu.Lock()
	delete(s.r.sessions, s)
	s.r.mu.Unlock()
}

func (s *runSession) closeFiles() {
	s.input.Close()
	for _, f := range s.output {
		f.Close()
	}
}

func (s *runSession) kill() { s.r.children.signal(s.child, syscall.SIGKILL) }

// Receive implements runtime.Session.
func (s *runSession) Receive() (runtime.TerminalOutput, error) {
	select {
	case out, ok := <-s.blocks:
		if !ok {
			return runtime.TerminalOutput{}, io.EOF
		}
		return out, nil
	case <-s.closed:
		return runtime.TerminalOutput{}, io.EOF
	}
}

// Send implements runtime.Session.
func (s *runSession) Send(in runtime.TerminalInput) error {
	if s.terminal {
		return sendTerminal(s.input, in)
	}
	if len(in.Data) > 0 {
		if _, err := s.input.Write(in.Data); err != nil && !errors.Is(err, syscall.EPIPE) {
			return fmt.Errorf("write to %s: %w: %w", s.id.ID.Label(), err, runtime.Unavailable)
		}
	}
	if in.EOF {
		s.input.Close()
	}
	return nil
}

// Close implements runtime.Session: it ends the tree, and returns when that
// is gone.
func (s *runSession) Close() error {
	s.abandon()
	s.kill()
	<-s.ended
	return nil
}

// abandon lets the pumps end: nobody reads any more.
func (s *runSession) abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done {
		s.done = true
		close(s.closed)
		s.closeFiles()
	}
}
