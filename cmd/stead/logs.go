package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// followTail is how many lines of each service -f begins with: enough to see
// where one is.
const followTail = 20

func (c *cli) logsCommand() *cobra.Command {
	var where scope
	var format output
	var since string
	var bare bool
	request := &steadpb.LogsRequest{}
	cmd := &cobra.Command{
		Use:   "logs [service…]",
		Short: "Shows what services have written",
		Long: `Shows what services have written: all that is kept, or, with -f, the last 20
lines of each and what they write from now on. With json each line is an object
of its own: time, project, service, instance, stream (stdout, stderr, terminal;
stead for a word of stead itself) and text.`,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			start, err := sinceTime(since, time.Now())
			if err != nil {
				return err
			}
			if !start.IsZero() {
				request.Since = timestamp(start)
			}
			if request.Follow && since == "" && !cmd.Flags().Changed("lines") {
				request.Last = followTail
			}
			return c.logs(cmd.Context(), &where, args, request, format, bare)
		},
	}
	where.flags(cmd)
	format.flag(cmd)
	flags := cmd.Flags()
	flags.BoolVarP(&request.Follow, "follow", "f", false, "go on until interrupted")
	flags.Int32VarP(&request.Last, "lines", "n", 0, "only so many last lines of each service; 0 is all")
	flags.StringVar(&since, "since", "", `only what is newer: a duration ("10m") or a time (RFC 3339)`)
	flags.Uint64Var(&request.Generation, "generation", 0, "only what this generation has written")
	flags.BoolVar(&bare, "no-prefix", false, "the lines alone, without their service's name")
	return cmd
}

func (c *cli) logs(ctx context.Context, where *scope, services []string, request *steadpb.LogsRequest, format output, bare bool) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	sel, present, err := where.find(ctx, client, services)
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
	p.bare, p.json, p.several = bare, format.json(), manyProjects
	return c.printLogs(ctx, client, request, p)
}

// sinceTime reads --since: how long ago, or when.
func sinceTime(word string, now time.Time) (time.Time, error) {
	if word == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(word); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	at, err := time.Parse(time.RFC3339, word)
	if err != nil {
		return time.Time{}, usage("--since: %q is neither a duration like 10m nor a time like %s", word, now.UTC().Format(time.RFC3339))
	}
	return at, nil
}

func timestamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// lostText stands where output is missing.
func lostText(bytes int64) string { return fmt.Sprintf("%d bytes are missing here", bytes) }
