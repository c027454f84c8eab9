package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// cli is one run of the program.
type cli struct {
	in  *os.File
	out io.Writer
	err io.Writer

	noColor bool   // --no-color
	target  string // --env: the environment whose daemon is meant; empty or "local": the one at home
	file    string // -f, where a verb has it: the manifest, which tells that daemon
	began   bool   // the command line made sense and its verb was started
}

// run executes one command line and returns the exit code.
func run(args []string, in, out, err *os.File) int {
	ctx, release := interruptible(context.Background())
	defer release()
	c := &cli{in: in, out: out, err: err}
	root := c.root()
	root.SetArgs(args)
	return c.conclude(ctx, root, args, root.ExecuteContext(ctx))
}

const rootHelp = `stead runs a developer's services at home as the cloud will run them later.

A daemon supervises the services of every project; it is started when it is
needed, and services outlive it. STEAD_HOME names a directory for a second,
fully separate stead.

Exit codes: 0 all went well, 1 error, 2 the command line makes no sense,
3 no such project or service, 4 a wanted service failed, 5 no daemon is
running, 130 interrupted. exec and run end with the code of the command.`

func (c *cli) root() *cobra.Command {
	root := &cobra.Command{
		Use:                        "stead",
		Short:                      "Runs a developer's services",
		Long:                       rootHelp,
		SilenceErrors:              true,
		SilenceUsage:               true,
		DisableSuggestions:         true, // conclude makes a hint of them
		SuggestionsMinimumDistance: 2,
		CompletionOptions:          cobra.CompletionOptions{DisableDefaultCmd: true},
		PersistentPreRun:           func(*cobra.Command, []string) { c.began = true },
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.PersistentFlags().BoolVar(&c.noColor, "no-color", false, "no colours, as with NO_COLOR set; there are none off a terminal")
	root.PersistentFlags().StringVar(&c.target, "env", os.Getenv("STEAD_ENV"), "the environment of the manifest, instead of this machine; STEAD_ENV does so too")
	root.SetFlagErrorFunc(usageError)
	root.AddCommand(
		c.upCommand(), c.initCommand(), c.downCommand(), c.statusCommand(), c.restartCommand(), c.logsCommand(),
		c.attachCommand(), c.execCommand(), c.runCommand(), c.whyCommand(), c.eventsCommand(), c.envCommand(), c.checkCommand(),
		c.buildCommand(), c.renderCommand(), c.diffCommand(), c.environmentsCommand(), c.daemonCommand(), c.lspCommand(), c.versionCommand(), c.completionCommand(),
	)
	return root
}

// signalled is the cause of a context that a signal has ended.
type signalled struct{ os.Signal }

func (s signalled) Error() string { return "interrupted (" + s.Signal.String() + ")" }

// interruptible returns a context that the first INT, TERM or HUP cancels
// with a signalled cause. The second one has its default effect: it kills.
func interruptible(parent context.Context) (ctx context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() { // ends with the first signal, or by release
		defer close(done)
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(signalled{s})
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-done
	}
}

// interrupt returns the signal that has ended ctx, or nil.
func interrupt(ctx context.Context) os.Signal {
	var s signalled
	if errors.As(context.Cause(ctx), &s) {
		return s.Signal
	}
	return nil
}

// terminal returns the descriptor behind w when that is a terminal.
func terminal(w any) (fd int, ok bool) {
	f, isFile := w.(*os.File)
	if !isFile || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}
