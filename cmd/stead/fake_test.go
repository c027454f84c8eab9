package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"connectrpc.com/connect/v2"
	"connectrpc.com/connect/v2/connecthttp"
	"connectrpc.com/connect/v2/connectproto"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// fakeDaemon answers the API from a play: what there is, and for each request
// what happens then, frame by frame. A Watch shows every frame, so that the
// output of a script is the same each time.
type fakeDaemon struct {
	steadpb.UnimplementedDaemonHandler
	play play

	mu      sync.Mutex
	present map[string]*steadpb.Service
	pending []*steadpb.StatusResponse // frames that no Watch has shown yet
	changed chan struct{}             // closed when one of the fields here changes
	called  []string
	left    chan struct{}

	stop  func() // as kill -9 would
	leave func() // after what is being answered
}

// play is a script's daemon file; messages are in protobuf's JSON.
type play struct {
	Present json.RawMessage              `json:"present"` // a StatusResponse
	After   map[string][]json.RawMessage `json:"after"`   // by rpc, or by "rpc service"
	Answers map[string]json.RawMessage   `json:"answers"` // by rpc
	Errors  map[string]fault             `json:"errors"`  // by rpc
	Logs    []json.RawMessage            `json:"logs"`
	Events  json.RawMessage              `json:"events"`
	Pause   int                          `json:"pause"`   // milliseconds before each frame of a Watch
	Nowhere bool                         `json:"nowhere"` // the directory belongs to no project
}

type fault struct {
	Code, Text, Hint string
	Diagnostics      []json.RawMessage
	Once             bool // the first call of the rpc only
}

func newFakeDaemon(text []byte) *fakeDaemon {
	f := &fakeDaemon{present: map[string]*steadpb.Service{}, changed: make(chan struct{}), left: make(chan struct{})}
	if err := json.Unmarshal(text, &f.play); err != nil {
		panic(err) // a script is wrong
	}
	f.apply(decode[steadpb.StatusResponse](f.play.Present))
	return f
}

// decode reads protobuf's JSON; absent is the zero message.
func decode[T any, M interface {
	*T
	proto.Message
}](text json.RawMessage) M {
	message := M(new(T))
	if len(text) == 0 {
		return message
	}
	if err := protojson.Unmarshal(text, message); err != nil {
		panic(fmt.Sprintf("%v in %s", err, text)) // a script is wrong
	}
	return message
}

// serve listens on socket until the returned function is called.
func (f *fakeDaemon) serve(socket string) func() {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		panic(err)
	}
	server := connect.NewServer()
	steadpb.RegisterDaemonHandler(server, f)
	mux := http.NewServeMux()
	connecthttp.Mount(mux, server)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	web := &http.Server{Handler: mux, Protocols: protocols}
	// Before anybody can call: a request reads them.
	f.stop = sync.OnceFunc(func() { _ = web.Close() })
	f.leave = func() {
		_ = web.Shutdown(context.Background())
		close(f.left)
	}
	done := make(chan struct{})
	go func() { // ends with web.Close
		defer close(done)
		_ = web.Serve(listener)
	}()
	return func() {
		f.stop()
		<-done
	}
}

// note records a call and starts what the play has after it.
func (f *fakeDaemon) note(rpc string, detail ...string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	call := strings.TrimSpace(rpc + " " + strings.Join(detail, " "))
	f.called = append(f.called, call)
	frames, exact := f.play.After[call]
	if !exact {
		frames = f.play.After[rpc]
	}
	for i, text := range frames {
		frame := decode[steadpb.StatusResponse](text)
		if i == 0 { // committed with the request
			f.apply(frame)
			continue
		}
		f.pending = append(f.pending, frame)
	}
	f.wake()
	return f.fault(rpc)
}

func (f *fakeDaemon) fault(rpc string) error {
	fault, ok := f.play.Errors[rpc]
	before := 0
	for _, call := range f.called[:len(f.called)-1] {
		if name, _, _ := strings.Cut(call, " "); name == rpc {
			before++
		}
	}
	if !ok || fault.Once && before > 0 {
		return nil
	}
	var code connect.Code
	if err := code.UnmarshalText([]byte(fault.Code)); err != nil {
		return err
	}
	return withDetails(connect.NewError(code, fault.Text), fault)
}

func (f *fakeDaemon) apply(frame *steadpb.StatusResponse) {
	for _, s := range frame.Services {
		if s.Since == nil {
			s.Since = timestamppb.Now()
		}
	}
	merge(f.present, frame)
}

func (f *fakeDaemon) wake() {
	close(f.changed)
	f.changed = make(chan struct{})
}

// waitFor returns when an rpc was called; "Logs follow" is one that goes on,
// "Watch twice" the second of its kind.
func (f *fakeDaemon) waitFor(ctx context.Context, call string) error {
	call, twice := strings.CutSuffix(call, " twice")
	for {
		f.mu.Lock()
		seen, changed, all := 0, f.changed, slices.Clone(f.called)
		for _, one := range all {
			if one == call {
				seen++
			}
		}
		f.mu.Unlock()
		if seen > 1 || seen == 1 && !twice {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("no call of %s but %v", call, all)
		}
	}
}

func (f *fakeDaemon) selected(sel *steadpb.Selection) ([]*steadpb.Service, error) {
	if f.play.Nowhere && sel.GetDirectory() != "" {
		return nil, connect.NewError(connect.CodeNotFound, "no project is known for this directory: not found")
	}
	var found []*steadpb.Service
	for _, s := range sorted(f.present) {
		if len(sel.GetServices()) == 0 || slices.Contains(sel.GetServices(), s.Name) {
			found = append(found, s)
		}
	}
	for _, name := range sel.GetServices() {
		if !slices.ContainsFunc(found, func(s *steadpb.Service) bool { return s.Name == name }) {
			return nil, withDetails(connect.NewError(connect.CodeNotFound, fmt.Sprintf("no service %q: not found", name)),
				fault{Hint: "known services: db, web"})
		}
	}
	return found, nil
}

func (f *fakeDaemon) Version(context.Context, *steadpb.VersionRequest) (*steadpb.VersionResponse, error) {
	return decode[steadpb.VersionResponse](f.play.Answers["Version"]), f.note("Version")
}

func (f *fakeDaemon) Up(_ context.Context, req *steadpb.UpRequest) (*steadpb.UpResponse, error) {
	if !slices.ContainsFunc(req.Environment, func(v string) bool { return strings.HasPrefix(v, "STEAD_HOME=") }) {
		return nil, errors.New("the environment was not sent")
	}
	detail := slices.Concat(req.Services, req.Profiles)
	if req.Keep {
		detail = append(detail, "keep")
	}
	if req.File != "" {
		detail = append(detail, "file")
	}
	return decode[steadpb.UpResponse](f.play.Answers["Up"]), f.note("Up", detail...)
}

func (f *fakeDaemon) Down(_ context.Context, req *steadpb.DownRequest) (*steadpb.DownResponse, error) {
	if req.Released {
		return &steadpb.DownResponse{}, nil
	}
	return decode[steadpb.DownResponse](f.play.Answers["Down"]), f.note("Down", req.Selection.Services...)
}

func (f *fakeDaemon) Restart(_ context.Context, req *steadpb.RestartRequest) (*steadpb.RestartResponse, error) {
	return decode[steadpb.RestartResponse](f.play.Answers["Restart"]), f.note("Restart", req.Selection.Services...)
}

func (f *fakeDaemon) Check(_ context.Context, req *steadpb.CheckRequest) (*steadpb.CheckResponse, error) {
	if req.Propose {
		return f.propose(req.Directory)
	}
	return decode[steadpb.CheckResponse](f.play.Answers["Check"]), f.note("Check")
}

// propose plays its answer, but finds nothing in an empty directory, and a
// manifest once that is written.
func (f *fakeDaemon) propose(directory string) (*steadpb.CheckResponse, error) {
	if entries, err := os.ReadDir(directory); err != nil || len(entries) == 0 {
		return &steadpb.CheckResponse{}, f.note("Propose")
	}
	return decode[steadpb.CheckResponse](f.play.Answers["Propose"]), f.note("Propose")
}

func (f *fakeDaemon) Env(_ context.Context, req *steadpb.EnvRequest) (*steadpb.EnvResponse, error) {
	answer := decode[steadpb.EnvResponse](f.play.Answers["Env"])
	return answer, f.note("Env", fmt.Sprint(req.Selection.Services[0], " ", req.ShowSecrets, " ", len(req.Environment) > 0))
}

func (f *fakeDaemon) Why(context.Context, *steadpb.WhyRequest) (*steadpb.WhyResponse, error) {
	if f.play.Answers["Why"] == nil {
		return nil, errors.New("no such play")
	}
	return decode[steadpb.WhyResponse](f.play.Answers["Why"]), nil
}

func (f *fakeDaemon) Status(_ context.Context, req *steadpb.StatusRequest) (*steadpb.StatusResponse, error) {
	if err := f.note("Status"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	services, err := f.selected(req.Selection)
	return &steadpb.StatusResponse{Services: services}, err
}

func (f *fakeDaemon) Watch(ctx context.Context, req *steadpb.StatusRequest, stream steadpb.DaemonWatchServerStream) error {
	if err := f.note("Watch"); err != nil {
		return err
	}
	f.mu.Lock()
	services, err := f.selected(req.Selection)
	f.mu.Unlock()
	if err != nil {
		return err
	}
	frame := &steadpb.StatusResponse{Services: services}
	for {
		if frame != nil {
			if err := stream.Send(frame); err != nil {
				return err
			}
		}
		select {
		case <-time.After(time.Duration(f.play.Pause) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		f.mu.Lock()
		frame = nil
		changed := f.changed
		if len(f.pending) > 0 {
			frame, f.pending = f.pending[0], f.pending[1:]
			f.apply(frame)
		}
		f.mu.Unlock()
		if frame != nil {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *fakeDaemon) Events(ctx context.Context, req *steadpb.EventsRequest, stream steadpb.DaemonEventsServerStream) error {
	if err := f.note("Events"); err != nil {
		return err
	}
	all := decode[steadpb.EventsResponse](f.play.Events)
	if n := int(req.Last); n > 0 {
		all.Events = all.Events[max(0, len(all.Events)-n):]
	}
	if err := stream.Send(all); err != nil || !req.Follow {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *fakeDaemon) Logs(ctx context.Context, req *steadpb.LogsRequest, stream steadpb.DaemonLogsServerStream) error {
	for _, text := range f.play.Logs {
		block := decode[steadpb.LogBlock](text)
		if names := req.Selection.Services; len(names) > 0 && !slices.Contains(names, block.Service) {
			continue
		}
		if err := stream.Send(&steadpb.LogsResponse{Blocks: []*steadpb.LogBlock{block}}); err != nil {
			return err
		}
	}
	if !req.Follow {
		return f.note("Logs", fmt.Sprint(req.Last))
	}
	if err := f.note("Logs follow"); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// Terminal echoes what it gets. The commands "exit N", "kill SIG" and "err"
// do what they say.
func (f *fakeDaemon) Terminal(_ context.Context, stream steadpb.DaemonTerminalServerStream) error {
	first, err := stream.Receive()
	if err != nil {
		return err
	}
	open := first.Open
	if err := f.note("Terminal", open.Command...); err != nil {
		return err
	}
	end := func(exit *steadpb.TerminalExit) error { return stream.Send(&steadpb.TerminalResponse{Exit: exit}) }
	if len(open.Command) > 1 && open.Command[0] == "exit" {
		var code int32
		_, _ = fmt.Sscan(open.Command[1], &code)
		return end(&steadpb.TerminalExit{Code: code})
	}
	if len(open.Command) > 1 && open.Command[0] == "kill" {
		return end(&steadpb.TerminalExit{Code: -1, Signal: open.Command[1]})
	}
	greeting := fmt.Sprintf("terminal=%v size=%v\n", open.Terminal, open.Size)
	if err := stream.Send(&steadpb.TerminalResponse{Data: []byte(greeting), Stream: "stderr"}); err != nil {
		return err
	}
	for {
		message, err := stream.Receive()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case message.Eof:
			return end(&steadpb.TerminalExit{})
		case message.Resize != nil:
			message.Data = fmt.Appendf(nil, "resized to %dx%d\r\n", message.Resize.Columns, message.Resize.Rows)
		}
		if err := stream.Send(&steadpb.TerminalResponse{Data: message.Data, Stream: "stdout"}); err != nil {
			return err
		}
	}
}

func (f *fakeDaemon) Stop(_ context.Context, req *steadpb.StopRequest) (*steadpb.StopResponse, error) {
	if err := f.note("Stop"); err != nil {
		return nil, err
	}
	go f.leave() // ends when the answer is out
	return decode[steadpb.StopResponse](f.play.Answers["Stop"]), nil
}

// withDetails gives an error what ipc's own errors carry.
func withDetails(err *connect.Error, fault fault) *connect.Error {
	var details []proto.Message
	if fault.Hint != "" {
		details = append(details, &steadpb.ErrorHint{Hint: fault.Hint})
	}
	for _, text := range fault.Diagnostics {
		details = append(details, decode[steadpb.Diagnostic](text))
	}
	for _, message := range details {
		detail, bad := connectproto.NewErrorDetail(message)
		if bad != nil {
			panic(bad) // a script is wrong
		}
		err = err.WithDetail(detail)
	}
	return err
}
