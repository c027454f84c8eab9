package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

const upHelp = `Starts the services of the manifest found from the current directory, shows how
they get ready, and follows their logs. Each save that reloads something is one
line: which file, which services, how long the build and all of it took; or the
first error.

An interrupt (INT or TERM) stops what this call has started. When the terminal
or the connection goes away, services keep running, as with -d.

With -d it returns as soon as everything is ready or completed; when a service
fails it shows why and ends with 4. Only what was started with -d comes back
after a reboot.

With --env NAME services start in that environment of the manifest, and go on
without this machine: it is always as with -d. Where the manifest does not name
the context, the first time asks whether the kubeconfig's current one is meant.
One daemon drives an environment at a time. Where another one does, this says
who, and --take-over makes it observe from now on.

With --local web --rest staging the service web runs on this machine, and all
others in staging: they are brought up there first, and web finds them by the
same variables, through ports of this machine. The other way round does not
work yet: what runs in staging does not reach this machine.`

// upLimit is how long up waits for services: longer than any build that a
// person would wait for without looking.
const upLimit = 10 * time.Minute

// up is one call of the verb.
type up struct {
	*cli
	client   steadpb.DaemonClient
	detach   bool
	profiles []string
	limit    time.Duration
	yes      bool
	over     bool                 // --take-over
	local    []string             // --local: what runs at home …
	rest     string               // --rest: … while all else does in this environment
	without  []string             // run somewhere else: nothing here may need them
	remote   []*steadpb.Forwarded // run somewhere else: reached there
	asked    time.Time
	before   map[string]bool // wanted up already, and so not stopped by an interrupt
	answer   *steadpb.UpResponse
}

func (c *cli) upCommand() *cobra.Command {
	u := &up{cli: c}
	cmd := &cobra.Command{
		Use:               "up [service…]",
		Short:             "Starts services and follows them",
		Long:              upHelp,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(u.local) > 0 || u.rest != "" {
				return u.mixed(cmd.Context(), args)
			}
			return u.run(cmd.Context(), args)
		},
	}
	flags := cmd.Flags()
	flags.BoolVarP(&u.detach, "detach", "d", false, "return when all is ready; the services come back after a reboot")
	flags.StringVarP(&u.cli.file, "file", "f", "", "the manifest, instead of the stead.yaml of this directory or its parents")
	flags.StringArrayVar(&u.profiles, "profile", nil, "also start the services of this profile (repeatable)")
	flags.BoolVarP(&u.yes, "yes", "y", false, "with --env: agree to a context that the manifest does not name")
	flags.BoolVar(&u.over, "take-over", false, "with --env: also from another daemon that drives the environment")
	flags.StringSliceVar(&u.local, "local", nil, "with --rest: the services that run on this machine")
	flags.StringVar(&u.rest, "rest", "", "the environment in which all other services run")
	flags.DurationVar(&u.limit, "timeout", upLimit, "how long to wait for services to get ready; 0 is no limit")
	return cmd
}

func (u *up) run(ctx context.Context, services []string) (err error) {
	request, err := u.request(services)
	if err != nil {
		return err
	}
	if u.client, err = u.ensureDaemon(ctx); err != nil {
		return err
	}
	if !u.atHome() {
		u.detach, request.Keep = true, true // nobody else's services end with this terminal
		if request.Agreed, err = u.agree(ctx, u.client, request, u.yes); err != nil {
			return err
		}
	}
	if err := u.remember(ctx, request); err != nil {
		return err
	}
	u.asked = time.Now()
	u.answer, err = u.client.Up(ctx, request)
	if errors.Is(err, runtime.NotFound) && request.File == "" {
		if err = u.offer(ctx, request, err); err == nil {
			u.answer, err = u.client.Up(ctx, request)
		}
	}
	if err != nil {
		return err
	}
	u.sayDiagnostics(diagnostics(u.answer.Warnings))
	if len(u.answer.Services) == 0 {
		fmt.Fprintln(u.out, u.answer.Name+" has no services to start")
		return nil
	}
	return u.interrupted(ctx, u.follow(ctx))
}

func (u *up) request(services []string) (*steadpb.UpRequest, error) {
	directory, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	file, err := absolute(u.file)
	if err != nil {
		return nil, err
	}
	return &steadpb.UpRequest{
		Directory: directory, File: file, Services: services, Profiles: u.profiles,
		Keep: u.detach, TakeOver: u.over, Environment: os.Environ(), Without: u.without, Remote: u.remote,
	}, nil
}

// remember notes what is wanted up before this call.
func (u *up) remember(ctx context.Context, request *steadpb.UpRequest) error {
	u.before = map[string]bool{}
	directory := request.Directory
	if request.File != "" {
		directory = filepath.Dir(request.File)
	}
	answer, err := u.client.Status(ctx, &steadpb.StatusRequest{Selection: &steadpb.Selection{Directory: directory}})
	if errors.Is(err, runtime.NotFound) {
		return nil // a project that the daemon is about to meet
	}
	if err != nil {
		return err
	}
	for _, s := range answer.Services {
		u.before[s.Name] = s.Want == "up"
	}
	return nil
}

func (u *up) selection(services []string) *steadpb.Selection {
	return &steadpb.Selection{Project: u.answer.Project, Services: services}
}

// follow shows how the services get up and, unless detached, what they write.
func (u *up) follow(ctx context.Context) error {
	b := newBoard(u.keys(), u.asked, judgeUp)
	err := u.await(ctx, u.client, u.selection(nil), b, u.limit)
	if err != nil && !errors.Is(err, errTimeout) {
		return err
	}
	failed := u.explainFailures(ctx, u.client, b)
	late := u.sayLate(b, u.limit, err)
	u.sayReachable(b)
	u.sayEnded(b)
	if !u.detach && u.runs(b) {
		return u.followLogs(ctx, b)
	}
	if failed || late {
		return ended{code: exitService}
	}
	return nil
}

// keys are the wanted services as a board names them.
func (u *up) keys() []string {
	keys := make([]string, len(u.answer.Services))
	for i, name := range u.answer.Services {
		keys[i] = u.answer.Name + "/" + name
	}
	return keys
}

// judgeUp gives the verdict on a service that is to be up.
func judgeUp(s *steadpb.Service) verdict {
	switch {
	case s == nil || s.Want == "down":
		return bad
	case s.CauseKind == "dependency" && (s.Phase == "pending" || replaced(s)):
		return bad
	case s.Phase == "failed" && s.CauseKind != "runtime": // that one is started again
		return bad
	case s.CauseKind == "port": // it runs, and nobody can call it
		return bad
	case s.Phase == "completed", s.CauseKind == "asleep":
		return good
	case s.Phase != "ready" || replaced(s):
		return moving
	case s.OneShot && !s.Terminal: // it is to complete; but a program with a terminal waits for its user
		return moving
	case s.Cause != "": // the old generation serves on, since the new one was no good
		return bad
	}
	return good
}

// runs reports whether any of the services could still write something. One
// that a save has broken may be mended by the next.
func (u *up) runs(b *board) bool {
	return slices.ContainsFunc(b.keys, func(key string) bool {
		s := b.seen[key]
		return s != nil && (!over(s) || s.Phase == "failed" && s.Want == "up" && s.Reload.GetOutcome() == "failed")
	})
}

// over reports whether nothing of s runs or will.
func over(s *steadpb.Service) bool {
	return s.Phase == "stopped" && s.CauseKind != "asleep" || s.Phase == "completed" || s.Phase == "failed"
}

// sayReachable ends the start-up with what is reachable where.
func (u *up) sayReachable(b *board) {
	well := b.all(good)
	if len(well) == 0 {
		return
	}
	fmt.Fprintf(u.out, "%s: %d of %s up\n", u.answer.Name, len(well), count(len(b.keys)))
	var rows [][]cell
	for _, key := range well {
		for _, url := range b.seen[key].Urls {
			rows = append(rows, []cell{{"  " + b.name(key), plain}, {url, cyan}})
		}
	}
	for _, line := range layOut(rows, 0, u.paint(u.out)) {
		fmt.Fprintln(u.out, line)
	}
}

// followLogs shows what the services write until nothing of them runs.
func (u *up) followLogs(ctx context.Context, b *board) error {
	logs, stop := context.WithCancel(ctx)
	defer stop()
	out := &wholeLines{out: u.out}
	saved := u.newSaves(out)
	over := make(chan error, 1)
	go func() { // ends with the services, the daemon, or logs; received below
		over <- u.untilOver(logs, b, saved)
		stop()
	}()
	p := newPrinter(u.cli, u.answer.Services)
	p.out = out
	err := u.printLogs(logs, u.client, &steadpb.LogsRequest{
		Selection: u.selection(u.answer.Services), Follow: true, Since: timestamp(u.asked),
	}, p)
	stop()
	watched := <-over
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case watched == nil:
		return u.outcome(b)
	case errors.Is(watched, context.Canceled): // printLogs was first to end
		return err
	}
	return watched
}

// lastWords is how long output may take from the end of a process to here:
// the runtime passes on what it reads within 10 ms, the rest is load.
const lastWords = 200 * time.Millisecond

// untilOver returns nil when nothing of the services runs any more, and what
// they wrote has had the time to get here.
func (u *up) untilOver(ctx context.Context, b *board, saved *saves) error {
	for {
		err := u.watchUntilOver(ctx, b, saved)
		if err == nil {
			return nil
		}
		next, err := u.successor(ctx, err)
		if err != nil {
			return err
		}
		u.client = next
	}
}

func (u *up) watchUntilOver(ctx context.Context, b *board, saved *saves) error {
	ctx, cancel := context.WithCancel(ctx)
	updates, result := watch(ctx, u.client, u.selection(nil))
	defer func() {
		cancel()
		<-result
	}()
	for update := range updates {
		b.update(update)
		saved.update(b.keys, b.seen, update.Notes)
		if u.runs(b) {
			continue
		}
		select {
		case <-time.After(lastWords):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return streamEnd(ctx, result)
}

// outcome is how the whole of it ended.
func (u *up) outcome(b *board) error {
	for _, key := range b.keys {
		if s := b.seen[key]; s != nil && s.Phase == "failed" {
			u.say("error", b.name(key)+" failed: "+s.Cause)
			return ended{code: exitService}
		}
	}
	fmt.Fprintln(u.out, "nothing of "+u.answer.Name+" runs any more")
	return nil
}

// interrupted does what the signal that ended ctx asks for.
func (u *up) interrupted(ctx context.Context, err error) error {
	switch interrupt(ctx) {
	case nil:
		return err
	case syscall.SIGHUP: // the terminal is gone, the services stay
		return nil
	}
	if u.detach {
		u.hint("the services go on starting; stop them with: " + u.verb("down"))
		return ended{code: exitInterrupted}
	}
	started := slices.DeleteFunc(slices.Clone(u.answer.Services), func(name string) bool { return u.before[name] })
	if len(started) == 0 {
		return ended{code: exitInterrupted}
	}
	// ctx has ended; what stops the services must not end with it. A second
	// interrupt kills this program (interruptible), and they stop all the same.
	if err := u.stopServices(context.WithoutCancel(ctx), u.client, u.selection(started)); err != nil {
		return err
	}
	return ended{code: exitInterrupted}
}
