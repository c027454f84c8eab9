package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// client returns a client of the daemon. One that ended while services go on
// is started again: it is what everything is asked through.
func (c *cli) client(ctx context.Context) (steadpb.DaemonClient, error) {
	home, err := c.home()
	if err != nil {
		return nil, err
	}
	if (bereft(home) || c.aimed(home)) && !answers(home.Socket) {
		return c.ensureDaemon(ctx)
	}
	return ipc.NewClient(home.Socket), nil
}

// successor returns a client of the daemon that follows one which was killed;
// it is started when services go on. When lost says something else, or no
// daemon answers, lost it is.
func (c *cli) successor(ctx context.Context, lost error) (steadpb.DaemonClient, error) {
	// Killed between two calls, it cannot be reached any more.
	gone := errors.Is(lost, ipc.ErrBroken) || errors.Is(lost, syscall.ECONNREFUSED) || errors.Is(lost, fs.ErrNotExist)
	if !gone || ctx.Err() != nil {
		return nil, lost
	}
	client, err := c.client(ctx)
	if err != nil {
		return nil, lost
	}
	if _, err := client.Version(ctx, &steadpb.VersionRequest{}); err != nil {
		return nil, lost
	}
	return client, nil
}

// bereft reports whether a runtime goes on without a daemon: its file is
// there for as long as it runs.
func bereft(home ipc.Home) bool {
	_, err := os.Stat(filepath.Join(home.Run, "runtime.json"))
	return err == nil
}

// existing returns a client of the daemon if one is there; nothing is dialled
// yet.
func (c *cli) existing() (steadpb.DaemonClient, error) {
	home, err := c.home()
	if err != nil {
		return nil, err
	}
	return ipc.NewClient(home.Socket), nil
}

// alive reports whether somebody listens on socket.
func alive(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

// answerLimit is how long answers waits for one: a daemon that hangs is for
// the call itself to find out.
const answerLimit = 5 * time.Second

// answers reports whether somebody behind socket answers. One that was killed
// still takes connections until its last thread is gone, and only then closes
// them: it is not enough to connect. What is asked does not matter.
func answers(socket string) bool {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // nothing is left to be said on it
	if err := conn.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return true
	}
	_, err = io.WriteString(conn, "HEAD / HTTP/1.1\r\nHost: stead\r\nConnection: close\r\n\r\n")
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	return err == nil || errors.Is(err, os.ErrDeadlineExceeded)
}

// scope is where a verb looks for services: the project of the current
// directory unless flags say otherwise.
type scope struct {
	project string
	all     bool
}

func (s *scope) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.project, "project", "", "the project, instead of the one of the current directory")
	cmd.Flags().BoolVar(&s.all, "all", false, "every project")
}

func (s *scope) selection(services []string) (*steadpb.Selection, error) {
	if s.all && s.project != "" {
		return nil, usage("--all and --project cannot both be meant")
	}
	sel := &steadpb.Selection{Project: s.project, Services: services}
	if s.all || s.project != "" {
		return sel, nil
	}
	var err error
	sel.Directory, err = os.Getwd()
	return sel, err
}

// find returns what there is in the scope, with the selection that found it.
// With nothing said, and outside of any project, that is every project.
func (s *scope) find(ctx context.Context, client steadpb.DaemonClient, services []string) (*steadpb.Selection, *steadpb.StatusResponse, error) {
	sel, err := s.selection(services)
	if err != nil {
		return nil, nil, err
	}
	answer, err := client.Status(ctx, &steadpb.StatusRequest{Selection: sel})
	if err == nil || sel.Directory == "" || len(services) > 0 || !errors.Is(err, runtime.NotFound) {
		return sel, answer, err
	}
	sel = &steadpb.Selection{}
	answer, err = client.Status(ctx, &steadpb.StatusRequest{Selection: sel})
	return sel, answer, err
}

// label is what a service is called: with its project when several are shown.
func label(s *steadpb.Service, several bool) string {
	if several {
		return s.Project + "/" + s.Name
	}
	return s.Name
}

// several reports whether services belong to more than one project.
func several(services []*steadpb.Service) bool {
	for _, s := range services {
		if s.Project != services[0].Project {
			return true
		}
	}
	return false
}

// absolute makes a path of the command line absolute; "" stays.
func absolute(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	return filepath.Abs(path)
}

// completeServices offers the names of services. It is asked at each press
// of the tab key: a limit, and silence whatever goes wrong.
func (c *cli) completeServices(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
	defer cancel()
	client, err := c.existing()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	_, answer, err := new(scope).find(ctx, client, nil)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	given := map[string]bool{}
	for _, name := range args {
		given[name] = true
	}
	var names []string
	for _, s := range answer.Services {
		if !given[s.Name] {
			names = append(names, s.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeOne is completeServices for verbs that take one service first.
func (c *cli) completeOne(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return c.completeServices(cmd, args, word)
}

// receiver is the reading end of a stream of the API.
type receiver[T any] interface {
	Receive() (T, error)
	Close() error
}

// each calls fn with every message of a stream, until it ends.
func each[T any](stream receiver[T], fn func(T) error) error {
	defer func() { _ = stream.Close() }() // the answer is in Receive's error
	for {
		message, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := fn(message); err != nil {
			return err
		}
	}
}
