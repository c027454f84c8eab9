// Package lsp is a language server for editors that shows what stead knows to
// be wrong: errors of builds, and where services died. It offers nothing
// else, and runs beside the server of the language.
//
// Serve owns all state in one goroutine. Two more feed it: one reads from the
// editor, message by message; one follows the daemon, and keeps the newest
// diagnostics only, so an editor that does not read costs bounded memory. A
// daemon that is not there is waited for; what it said last stays until it
// says something else, as it is true of the files still.
//
// The protocol is the Language Server Protocol, 3.17.
package lsp

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Watcher is what is needed of the API's client.
type Watcher interface {
	Watch(ctx context.Context, req *steadpb.StatusRequest) (steadpb.DaemonWatchClientStream, error)
}

// Options are what Serve needs.
type Options struct {
	In        io.ReadCloser // from the editor; closed when Serve returns
	Out       io.Writer     // to the editor
	Daemon    Watcher
	Directory string // absolute; the workspace of an editor that names none
	Version   string // of this program
	Log       *slog.Logger
}

// errImpolite is for editors that leave without a word: the protocol wants it
// to be an error (exit).
var errImpolite = errors.New("the editor said exit without shutdown")

// Serve speaks with an editor until it leaves, closes In, or ctx ends. The
// goroutine that reads In ends with it, and is not waited for: a read of
// standard input cannot always be ended from outside.
func Serve(ctx context.Context, opt Options) error {
	ctx, cancel := context.WithCancel(ctx)
	incoming := make(chan incoming)
	go read(ctx, opt.In, incoming)
	f := follower{daemon: opt.Daemon, log: opt.Log, newest: make(chan snapshot, 1)}
	followed := make(chan struct{})
	go func() { // ends with ctx
		defer close(followed)
		f.run(ctx)
	}()
	defer func() {
		cancel()
		_ = opt.In.Close() // nothing more is wanted of it
		<-followed
	}()
	s := session{opt: opt, published: map[string]string{}, folders: []folder{folderAt(opt.Directory)}}
	for {
		var err error
		select {
		case m := <-incoming:
			err = s.receive(m)
		case s.wrong = <-f.newest:
			err = s.publish()
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// incoming is a message, or why there are no more.
type incoming struct {
	text []byte
	err  error
}

// read hands out what the editor says, until that ends or ctx does.
func read(ctx context.Context, in io.Reader, to chan<- incoming) {
	reader := bufio.NewReaderSize(in, headerLimit)
	for {
		text, err := readMessage(reader)
		select {
		case to <- incoming{text, err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// session is one editor's.
type session struct {
	opt       Options
	phase     phase
	folders   []folder
	wrong     snapshot
	published map[string]string // by URI: what was sent
}

type phase int

const (
	phaseNew         phase = iota
	phaseInitialized       // initialize was answered
	phaseOpen              // the editor said initialized: notifications may be sent
	phaseShutdown
)

// receive takes one message. io.EOF means that the editor has left.
func (s *session) receive(in incoming) error {
	if in.err != nil {
		return in.err
	}
	var m message
	if err := json.Unmarshal(in.text, &m); err != nil {
		return s.fail(nil, codeParse, "not a JSON-RPC message: "+err.Error())
	}
	switch {
	case m.Method == "exit":
		if s.phase != phaseShutdown {
			return errImpolite
		}
		return io.EOF
	case m.Method == "": // an answer, and nothing was asked
		return nil
	case m.ID == nil:
		return s.notified(m)
	}
	return s.request(m)
}

func (s *session) request(m message) error {
	switch {
	case s.phase == phaseShutdown:
		return s.fail(m.ID, codeInvalidRequest, "the server has been shut down")
	case m.Method == "initialize" && s.phase != phaseNew:
		return s.fail(m.ID, codeInvalidRequest, "initialize was sent before")
	case m.Method == "initialize":
		return s.initialize(m)
	case s.phase == phaseNew:
		return s.fail(m.ID, codeNotInitialized, "initialize comes first")
	case m.Method == "shutdown":
		s.phase = phaseShutdown
		return s.answer(m.ID, nil)
	}
	return s.fail(m.ID, codeUnknownMethod, "this server publishes diagnostics, and has no "+m.Method)
}

func (s *session) initialize(m message) error {
	var params initializeParams
	if err := json.Unmarshal(m.Params, &params); err != nil {
		return s.fail(m.ID, codeInvalidParams, err.Error())
	}
	if folders := params.folders(); len(folders) > 0 {
		s.folders = folders
	}
	s.phase = phaseInitialized
	return s.answer(m.ID, initializeResult(s.opt.Version))
}

func (s *session) notified(m message) error {
	switch {
	case m.Method == "initialized" && s.phase == phaseInitialized:
		s.phase = phaseOpen
		return s.publish()
	case m.Method == "workspace/didChangeWorkspaceFolders" && s.phase == phaseOpen:
		var params foldersChanged
		if err := json.Unmarshal(m.Params, &params); err != nil {
			s.opt.Log.Warn("a message of the editor makes no sense", "method", m.Method, "err", err)
			return nil
		}
		s.folders = params.apply(s.folders)
		return s.publish()
	}
	return nil // notifications that are not known may be ignored
}

func (s *session) answer(id json.RawMessage, result any) error {
	return s.send(response{JSONRPC: "2.0", ID: id, Result: &result})
}

func (s *session) fail(id json.RawMessage, code int, text string) error {
	return s.send(response{JSONRPC: "2.0", ID: id, Error: &failure{code, text}})
}

func (s *session) notify(method string, params any) error {
	return s.send(notification{"2.0", method, params})
}

func (s *session) send(m any) error {
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	return writeMessage(s.opt.Out, text)
}
