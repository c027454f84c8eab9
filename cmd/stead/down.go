package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) downCommand() *cobra.Command {
	var where scope
	var yes bool
	cmd := &cobra.Command{
		Use:               "down [service…]",
		Short:             "Stops services and waits until they are gone",
		Long:              downHelp,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			sel, err := where.selection(args)
			if err != nil {
				return err
			}
			if c.atHome() {
				return c.stopServices(cmd.Context(), client, sel)
			}
			return c.remove(cmd.Context(), client, sel, yes)
		},
	}
	where.flags(cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "with --env: remove what is shown without asking")
	return cmd
}

const downHelp = `Stops services, dependents first, and waits until they are gone.

With --env NAME it shows what there is of them in that environment, asks, and
removes exactly that.`

// stopServices wants services down, and waits until nothing of them runs.
func (c *cli) stopServices(ctx context.Context, client steadpb.DaemonClient, sel *steadpb.Selection) error {
	before, err := client.Status(ctx, &steadpb.StatusRequest{Selection: sel})
	if err != nil {
		return err
	}
	asked := time.Now()
	if _, err := client.Down(ctx, &steadpb.DownRequest{Selection: sel}); err != nil {
		return err
	}
	var keys []string
	for _, s := range before.Services {
		if !over(s) {
			keys = append(keys, s.Project+"/"+s.Name)
		}
	}
	if len(keys) == 0 {
		fmt.Fprintln(c.out, "nothing was running")
		return nil
	}
	if err := c.await(ctx, client, sel, newBoard(keys, asked, judgeDown), 0); err != nil {
		return err
	}
	// They are down whatever comes of this: what follows us may want their ports.
	_, _ = client.Down(ctx, &steadpb.DownRequest{Selection: sel, Released: true})
	fmt.Fprintln(c.out, "stopped", count(len(keys)))
	return nil
}

// judgeDown gives the verdict on a service that is to be down. One that
// somebody else wants up again meanwhile was down, or will be up: either way
// there is nothing left to wait for.
func judgeDown(s *steadpb.Service) verdict {
	if s == nil || over(s) || s.Want == "up" {
		return good
	}
	return moving
}
