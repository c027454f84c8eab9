package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
)

const (
	// stopPoll is how often the socket is looked at while the daemon leaves.
	stopPoll = 10 * time.Millisecond
	// stopLimit is how long a daemon may take to stop by default: services
	// get 10 s each by default, all at the same time.
	stopLimit = time.Minute
)

func (c *cli) daemonCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "daemon", Short: "Starts, stops and shows the daemon", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(c.daemonRunCommand(), c.daemonStopCommand(), c.daemonStatusCommand())
	return cmd
}

func (c *cli) daemonRunCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "run",
		Short:              "Becomes the daemon, in the foreground",
		Long:               "Becomes the daemon (steadd), in the foreground. Arguments are handed on to it.",
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			path, err := daemonPath()
			if err != nil {
				return err
			}
			args, err = c.handedOn(args)
			if err != nil {
				return err
			}
			return fmt.Errorf("run %s: %w", path, become(path, append([]string{path}, args...), os.Environ()))
		},
	}
}

// handedOn are the daemon's arguments: those that were given, with --env in the
// words that it has for it. No flag of this command was parsed.
func (c *cli) handedOn(args []string) ([]string, error) {
	var rest []string
	for i := 0; i < len(args); i++ {
		switch name, value, set := strings.Cut(args[i], "="); {
		case name == "--env" && set:
			c.target = value
		case name == "--env" && i+1 < len(args):
			i++
			c.target = args[i]
		default:
			rest = append(rest, args[i])
		}
	}
	own, err := c.daemonArguments()
	return append(own, rest...), err
}

func (c *cli) daemonStopCommand() *cobra.Command {
	var services bool
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "stop",
		Short: "Ends the daemon; services keep running unless --services is given",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.stopDaemon(cmd.Context(), services, limit) },
	}
	cmd.Flags().BoolVar(&services, "services", false, "stop every service of every project first")
	cmd.Flags().DurationVar(&limit, "timeout", stopLimit, "how long to wait for it")
	return cmd
}

func (c *cli) stopDaemon(ctx context.Context, services bool, limit time.Duration) error {
	home, err := c.home()
	if err != nil {
		return err
	}
	if services && (bereft(home) || c.aimed(home)) && !answers(home.Socket) {
		if _, err := c.ensureDaemon(ctx); err != nil {
			return err
		}
	}
	stopped, err := c.endDaemonOf(ctx, home, ipc.NewClient(home.Socket), services, limit)
	if err != nil {
		return err
	}
	if services {
		fmt.Fprintf(c.out, "stopped %s and the daemon\n", count(stopped))
		return nil
	}
	fmt.Fprintln(c.out, "stopped the daemon; services keep running")
	return nil
}

// endDaemonOf has a daemon end, and waits until it is gone. It returns how
// many services were stopped.
func (c *cli) endDaemonOf(ctx context.Context, home ipc.Home, client steadpb.DaemonClient, services bool, limit time.Duration) (int, error) {
	who, err := client.Version(ctx, &steadpb.VersionRequest{})
	if err != nil {
		return 0, err
	}
	answer, err := client.Stop(ctx, &steadpb.StopRequest{Services: services, Timeout: durationpb.New(limit)})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	for alive(home.Socket) || runs(who.Pid) || services && runs(who.GetRuntime().GetPid()) {
		select {
		case <-poll.C:
		case <-ctx.Done():
			if interrupt(ctx) != nil {
				return 0, context.Cause(ctx)
			}
			return 0, fmt.Errorf("the daemon still answers after %s", duration(limit))
		}
	}
	return int(answer.Stopped), nil
}

func (c *cli) daemonStatusCommand() *cobra.Command {
	var format output
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Says whether the daemon runs, and where; ends with 5 when it does not",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.daemonStatus(cmd.Context(), format) },
	}
	format.flag(cmd)
	return cmd
}

func (c *cli) daemonStatus(ctx context.Context, format output) error {
	home, err := c.home()
	if err != nil {
		return err
	}
	shape := daemonShape{Socket: home.Socket, Home: home.State}
	client := ipc.NewClient(home.Socket)
	answer, err := client.Version(ctx, &steadpb.VersionRequest{})
	if err != nil && alive(home.Socket) {
		return err // somebody is there, and something is wrong
	}
	if err == nil {
		shape.Running, shape.PID, shape.Version, shape.API = true, answer.Pid, answer.Version, answer.Api
		shape.Goroutines = answer.Goroutines
		shape.Started, shape.Runtime = moment(answer.Started), shapeRuntime(answer.Runtime)
		if answer.Home != "" {
			shape.Home = answer.Home
		}
		// What is wrong is said with the services; without them it is only less.
		if present, e := client.Status(ctx, &steadpb.StatusRequest{}); e == nil {
			shape.Problem = present.DaemonProblem
		}
	}
	if format.json() {
		err = c.writeJSON(shape)
	} else {
		c.printDaemon(shape)
	}
	if !shape.Running {
		return ended{code: exitNoDaemon}
	}
	return err
}

func (c *cli) printDaemon(shape daemonShape) {
	if !shape.Running {
		fmt.Fprintf(c.out, "not running\nsocket   %s\nhome     %s\n", shape.Socket, shape.Home)
		return
	}
	fmt.Fprintf(c.out, "running  pid %d", shape.PID)
	if shape.Started != nil {
		fmt.Fprintf(c.out, ", since %s", shape.Started.Local().Format(time.DateTime))
	}
	fmt.Fprintf(c.out, "\nversion  %s\nsocket   %s\nhome     %s\n", shape.Version, shape.Socket, shape.Home)
	if r := shape.Runtime; r != nil {
		fmt.Fprintf(c.out, "runtime  %s, pid %d, build %s (%s)\n", r.Name, r.PID, r.Build, strings.Join(r.Capabilities, ", "))
	} else {
		fmt.Fprintln(c.out, "runtime  cannot be reached")
	}
	if shape.Problem != "" {
		fmt.Fprintln(c.out, "problem  "+shape.Problem)
	}
}

type daemonShape struct {
	Running    bool          `json:"running"`
	PID        int32         `json:"pid"`
	Version    string        `json:"version"`
	Socket     string        `json:"socket"`
	Home       string        `json:"home"`
	Runtime    *runtimeShape `json:"runtime"` // null while it cannot be reached
	API        int32         `json:"api"`
	Started    *time.Time    `json:"started"`
	Problem    string        `json:"problem"` // what a person should know; empty: nothing
	Goroutines int32         `json:"goroutines"`
}

type runtimeShape struct {
	Name         string   `json:"name"`
	Build        string   `json:"build"`
	PID          int32    `json:"pid"`
	Capabilities []string `json:"capabilities"`
	Goroutines   int32    `json:"goroutines"`
}

func shapeRuntime(r *steadpb.Runtime) *runtimeShape {
	if r == nil {
		return nil
	}
	return &runtimeShape{Name: r.Name, Build: r.Build, PID: r.Pid, Capabilities: list(r.Capabilities), Goroutines: r.Goroutines}
}
