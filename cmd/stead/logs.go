package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
)

// followTail is how many lines of each service -f begins with: enough to see
// where one is.
const followTail = 20

// followTailByLevel is the same when only some of them are shown.
const followTailByLevel = 1000

// logsFlags are the flags of logs that are not those of the request.
type logsFlags struct {
	where        scope
	format       output
	since, until string
	grep         string
	ignoreCase   bool
	level        string
	bare         bool
	raw, pretty  bool
}

const logsHelp = `Shows what services have written: all that is kept, or, with -f, the last 20
lines of each and what they write from now on. Lines of several services come
in the order of time, those of one in the order written.

On a terminal, lines of JSON or logfmt are shown as time, level, message and
fields; of a progress bar the last state; and what would move the cursor is
left out. Elsewhere lines are as they were written, without the sequences of
terminals. --pretty and --raw choose.

--grep takes an RE2 expression. It sees lines as they were written, also those
of stead itself. --level shows lines of a level or worse: that of JSON and
logfmt, or the word that a plain line shows (ERROR, [warn], panic:). Indented
lines belong to the one before; without a level a line counts as info, and so
does what stead itself says. -n counts what --grep, --stream and --level
leave; with -f it counts before --level.

With json each line is an object of its own: time, project, service, instance,
stream (stdout, stderr, terminal; stead for a word of stead itself) and text;
level, logged_at, message and fields of what a logger wrote; lost where bytes
are missing. What is no UTF-8 is replaced there.

A line of more than 1 MiB is shown in pieces.`

func (c *cli) logsCommand() *cobra.Command {
	var f logsFlags
	request := &steadpb.LogsRequest{}
	cmd := &cobra.Command{
		Use:               "logs [service…]",
		Short:             "Shows what services have written",
		Long:              logsHelp,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.fill(request, cmd.Flags().Changed("lines"), time.Now()); err != nil {
				return err
			}
			return c.logs(cmd.Context(), &f, args, request)
		},
	}
	f.where.flags(cmd)
	f.format.flag(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&request.Follow, "follow", "f", false, "go on until interrupted")
	flags.Int32VarP(&request.Last, "lines", "n", 0, "only so many last lines of each service; 0 is all")
	flags.StringVar(&f.since, "since", "", `only what is newer: a duration ("10m") or a time (RFC 3339)`)
	flags.StringVar(&f.until, "until", "", "only what is older, likewise")
	flags.StringVar(&f.grep, "grep", "", "only lines in which this expression (RE2) is found")
	flags.BoolVarP(&f.ignoreCase, "ignore-case", "i", false, "--grep takes upper and lower case for the same")
	flags.StringVar(&f.level, "level", "", "only lines of this level or worse: "+strings.Join(levelWords, ", "))
	flags.StringVar(&request.Stream, "stream", "", "only this one: stdout, stderr, terminal or stead")
	flags.Uint64Var(&request.Generation, "generation", 0, "only what this generation has written")
	flags.BoolVar(&f.bare, "no-prefix", false, "the lines alone, without their service's name")
	flags.BoolVar(&f.pretty, "pretty", false, "as on a terminal")
	flags.BoolVar(&f.raw, "raw", false, "lines as they were written, byte for byte")
	// The names are right above; errors here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("level", cobra.FixedCompletions(levelWords, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("stream", cobra.FixedCompletions(streamWords, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

// streamWords are the arguments of --stream.
var streamWords = []string{"stdout", "stderr", "terminal", "stead"}

// fill puts the flags into the request, and refuses what makes no sense.
func (f *logsFlags) fill(request *steadpb.LogsRequest, counted bool, now time.Time) error {
	start, err := sinceTime("--since", f.since, now)
	if err != nil {
		return err
	}
	end, err := sinceTime("--until", f.until, now)
	if err != nil {
		return err
	}
	if !start.IsZero() {
		request.Since = timestamp(start)
	}
	if !end.IsZero() {
		request.Until = timestamp(end)
	}
	switch {
	case request.Follow && f.until != "":
		return usage("--until: what is followed has no end")
	case f.until != "" && f.since != "" && end.Before(start):
		return usage("--until: is before --since")
	case f.raw && f.pretty:
		return usage("--raw and --pretty exclude each other")
	case f.level != "" && !slices.Contains(levelWords, f.level):
		return usage("--level: %q is none of %s", f.level, strings.Join(levelWords, ", "))
	case request.Stream != "" && !slices.Contains(streamWords, request.Stream):
		return usage("--stream: %q is none of %s", request.Stream, strings.Join(streamWords, ", "))
	}
	if request.Follow && f.since == "" && !counted {
		request.Last = followTail
		if f.level != "" {
			request.Last = followTailByLevel
		}
	}
	if request.Match = f.grep; f.ignoreCase && f.grep != "" {
		request.Match = "(?i)" + f.grep
	}
	if _, err := regexp.Compile(request.Match); err != nil {
		return usage("--grep: %v", err)
	}
	return nil
}

func (c *cli) logs(ctx context.Context, f *logsFlags, services []string, request *steadpb.LogsRequest) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	sel, present, err := f.where.find(ctx, client, services)
	if err != nil {
		return err
	}
	var names []string
	manyProjects := several(present.Services)
	for _, s := range present.Services {
		names = append(names, label(s, manyProjects))
	}
	request.Selection = sel
	p := newPrinter(c, names)
	p.several, p.json, p.bare, p.raw = manyProjects, f.format.json(), f.bare, f.raw
	p.pretty = p.pretty || f.pretty
	if f.level != "" {
		p.levels = &levelFilter{least: ipc.ParseLevel(f.level)}
		if request.Last > 0 && !request.Follow { // only here it is known which lines count
			p.last, request.Last = &lastOnes{want: int(request.Last)}, 0
		}
	}
	return c.printLogs(ctx, client, request, p)
}

// sinceTime reads --since and --until: how long ago, or when.
func sinceTime(flag, word string, now time.Time) (time.Time, error) {
	if word == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(word); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, word)
	if err != nil {
		return time.Time{}, usage("%s: %q is neither a duration like 10m nor a time like %s", flag, word, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func timestamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// lostText stands where output is missing.
func lostText(bytes int64) string { return fmt.Sprintf("%d bytes are missing here", bytes) }
