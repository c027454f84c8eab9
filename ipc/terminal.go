package ipc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// Terminal attaches to a service's terminal, or runs a command beside a
// service or in a project. When the client goes away, so does the session.
func (h handlers) Terminal(ctx context.Context, stream steadpb.DaemonTerminalServerStream) error {
	first, err := stream.Receive()
	if errors.Is(err, io.EOF) || err == nil && first.GetOpen() == nil {
		return fmt.Errorf("request: open: is missing in the first message: %w", runtime.Invalid)
	}
	if err != nil {
		return err
	}
	req, err := h.terminalRequest(ctx, first.GetOpen())
	if err != nil {
		return err
	}
	session, err := h.backend.Terminal(ctx, req)
	if err != nil {
		return err
	}
	if err := stream.SendHeaders(); err != nil {
		return errors.Join(err, session.Close())
	}
	return carry(ctx, stream, session)
}

// terminalStream is the client's side of a session.
type terminalStream interface {
	Receive() (*steadpb.TerminalRequest, error)
	Send(*steadpb.TerminalResponse) error
}

// carry moves bytes both ways until the session ends or the client goes.
func carry(ctx context.Context, stream terminalStream, session runtime.Session) error {
	leave := sync.OnceFunc(func() { _ = session.Close() })
	forget := context.AfterFunc(ctx, leave) // makes Send and Receive of the session return
	defer forget()
	var input sync.WaitGroup
	input.Go(func() { // ends when the client has sent all, or by endReads
		if err := sendInput(stream, session); err != nil {
			leave()
		}
	})
	err := sendOutput(stream, session)
	leave()
	endReads(ctx)
	input.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// sendInput carries what the client sends to the session. An error means that
// the client or the session has gone.
func sendInput(stream terminalStream, session runtime.Session) error {
	for {
		m, err := stream.Receive()
		if errors.Is(err, io.EOF) { // the client has closed its side: no more input
			return session.Send(runtime.TerminalInput{EOF: true})
		}
		if err != nil {
			return err
		}
		in := runtime.TerminalInput{Data: m.GetData(), EOF: m.GetEof()}
		if m.GetResize() != nil {
			size := sizeOf(m.GetResize())
			in.Resize = &size
		}
		if err := session.Send(in); err != nil {
			return err
		}
	}
}

// sendOutput carries what the session gives to the client, to its end.
func sendOutput(stream terminalStream, session runtime.Session) error {
	for {
		out, err := session.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		m := &steadpb.TerminalResponse{Data: out.Data, Stream: streamName(out.Stream)}
		if e := out.Exit; e != nil {
			m.Exit = &steadpb.TerminalExit{Code: int32(e.Code), Signal: e.Signal, Error: valid(e.Error)}
		}
		if err := stream.Send(m); err != nil {
			return err
		}
	}
}

// terminalRequest says what open asks for in the contract's words.
func (h handlers) terminalRequest(ctx context.Context, open *steadpb.TerminalOpen) (runtime.TerminalRequest, error) {
	if err := validTerminal(open); err != nil {
		return runtime.TerminalRequest{}, err
	}
	p := h.backend.Present()
	c, err := resolve(p, open.GetSelection())
	if err != nil {
		return runtime.TerminalRequest{}, err
	}
	req := runtime.TerminalRequest{Size: sizeOf(open.GetSize())}
	if len(open.GetCommand()) == 0 {
		req.Attach, err = attach(p, c, int(open.GetReplica()))
		return req, err
	}
	name, err := beside(c)
	if err != nil {
		return req, err
	}
	command := CommandRequest{Command: open.GetCommand(), Terminal: open.GetTerminal()}
	if name.Service == "" {
		command.Environment, command.Directory = open.GetEnvironment(), open.GetWorkingDirectory()
	}
	spec, err := h.backend.Command(ctx, name, command)
	req.Run = &spec
	return req, err
}

func validTerminal(open *steadpb.TerminalOpen) error {
	var v violations
	v.selection(open.GetSelection())
	v.atLeastZero("replica", int64(open.GetReplica()))
	v.atLeastZero("size.columns", int64(open.GetSize().GetColumns()))
	v.atLeastZero("size.rows", int64(open.GetSize().GetRows()))
	v.environment("environment", open.GetEnvironment())
	v.absolute("working_directory", open.GetWorkingDirectory())
	if c := open.GetCommand(); len(c) > 0 && c[0] == "" {
		v.add("command[0]: is empty")
	}
	if len(open.GetCommand()) == 0 && len(open.GetSelection().GetServices()) != 1 {
		v.add("selection.services: want one service to attach to, got %d", len(open.GetSelection().GetServices()))
	}
	if len(open.GetSelection().GetServices()) > 1 {
		v.add("selection.services: want one service at most, got %d", len(open.GetSelection().GetServices()))
	}
	return v.err()
}

// attach finds the instance to attach to.
func attach(p *Present, c chosen, replica int) (*runtime.InstanceID, error) {
	name, err := c.one()
	if err != nil {
		return nil, err
	}
	if !p.Specs[name].Terminal {
		return nil, runtime.WithHint(
			fmt.Errorf("attach to %s: it has no terminal: %w", name.Service, runtime.Unsupported),
			"set `terminal: true` for it in stead.yaml; `stead logs -f "+name.Service+"` shows what it writes")
	}
	current, ok := p.State.Service(name).Current()
	if !ok || current.Phase.Final() {
		return nil, runtime.WithHint(fmt.Errorf("attach to %s: it is not running: %w", name.Service, runtime.Unavailable),
			"start it with `stead up "+name.Service+"`")
	}
	id := runtime.ID{Environment: name.Environment, Project: name.Project, Service: name.Service, Number: current.Number}
	return &runtime.InstanceID{ID: id, Replica: replica}, nil
}

// beside names what a command runs beside: a service, or else a project.
func beside(c chosen) (supervisor.Name, error) {
	if !c.all {
		return c.one()
	}
	if c.project == nil {
		return supervisor.Name{}, fmt.Errorf("request: selection: a project or a service is needed to run a command: %w", runtime.Invalid)
	}
	name := supervisor.Name{Environment: localEnvironment, Project: c.project.ID}
	if len(c.names) > 0 {
		name.Environment = c.names[0].Environment
	}
	return name, nil
}

// sizeOf bounds a size by what a terminal's can be (struct winsize: 16 bits).
func sizeOf(m *steadpb.TerminalSize) runtime.Size {
	const most = 1<<16 - 1
	return runtime.Size{
		Columns: min(max(int(m.GetColumns()), 0), most),
		Rows:    min(max(int(m.GetRows()), 0), most),
	}
}
