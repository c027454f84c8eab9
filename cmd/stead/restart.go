package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) restartCommand() *cobra.Command {
	var where scope
	var limit time.Duration
	cmd := &cobra.Command{
		Use:   "restart [service…]",
		Short: "Gives services a new generation and waits for it",
		Long: `Gives services a new generation and waits until it is ready. Where it can, the
old one serves until then; it goes on serving when the new one is no good, and
restart ends with 4.`,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.restart(cmd.Context(), &where, args, limit)
		},
	}
	where.flags(cmd)
	cmd.Flags().DurationVar(&limit, "timeout", upLimit, "how long to wait for services to get ready; 0 is no limit")
	return cmd
}

func (c *cli) restart(ctx context.Context, where *scope, services []string, limit time.Duration) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	sel, err := where.selection(services)
	if err != nil {
		return err
	}
	before, err := client.Status(ctx, &steadpb.StatusRequest{Selection: sel})
	if err != nil {
		return err
	}
	old := map[string]uint64{}
	var keys []string
	for _, s := range before.Services {
		if s.Want == "up" {
			key := s.Project + "/" + s.Name
			old[key] = max(s.Generation, s.NextGeneration)
			keys = append(keys, key)
		}
	}
	asked := time.Now()
	// The daemon refuses services that were named and are down.
	if _, err := client.Restart(ctx, &steadpb.RestartRequest{Selection: sel}); err != nil {
		return err
	}
	if len(keys) == 0 {
		fmt.Fprintln(c.out, "nothing is up, so nothing was restarted")
		return nil
	}
	b := newBoard(keys, asked, judgeRestart(old))
	err = c.await(ctx, client, sel, b, limit)
	if err != nil && !errors.Is(err, errTimeout) {
		return err
	}
	failed := c.explainFailures(ctx, client, b)
	if c.sayLate(b, limit, err) || failed {
		return ended{code: exitService}
	}
	fmt.Fprintln(c.out, "restarted", count(len(keys)))
	return nil
}

// judgeRestart gives the verdict on a service that is to have a generation
// after the one in old. It has none only when that was tried and dropped.
func judgeRestart(old map[string]uint64) judge {
	return func(s *steadpb.Service) verdict {
		v := judgeUp(s)
		if v != good || s.Generation > old[s.Project+"/"+s.Name] {
			return v
		}
		return moving
	}
}
