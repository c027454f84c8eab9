package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) statusCommand() *cobra.Command {
	var where scope
	var format output
	var watch bool
	cmd := &cobra.Command{
		Use:   "status [service…]",
		Short: "Shows what is wanted and what there is",
		Long: `Shows the services of the current directory's project, or of every project
when it belongs to none. With --watch it goes on as they change; that a process
is held by a debugger, or was stopped by a signal, is seen without it only, and
among no more than 200 processes.`,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			sel, answer, err := where.find(cmd.Context(), client, args)
			if err != nil {
				return err
			}
			if !watch {
				return c.showStatus(answer.Services, answer.DaemonProblem, format)
			}
			return c.watchStatus(cmd.Context(), client, sel, format)
		},
	}
	where.flags(cmd)
	format.flag(cmd)
	cmd.Flags().BoolVarP(&watch, "watch", "w", false, "go on until interrupted; with json one line each time")
	return cmd
}

func (c *cli) showStatus(services []*steadpb.Service, problem string, format output) error {
	if format.json() {
		return c.writeJSON(shapeStatus(services, problem))
	}
	if problem != "" {
		c.warn("%s", problem)
	}
	for _, line := range statusTable(services, time.Now(), c.width(), c.paint(c.out)) {
		fmt.Fprintln(c.out, line)
	}
	return nil
}

// watchStatus shows the status anew at each change: in place on a terminal,
// else one table after the other with an empty line between.
func (c *cli) watchStatus(ctx context.Context, client steadpb.DaemonClient, sel *steadpb.Selection, format output) error {
	stream, err := client.Watch(ctx, &steadpb.StatusRequest{Selection: sel})
	if err != nil {
		return err
	}
	seen := map[string]*steadpb.Service{}
	_, inPlace := terminal(c.out)
	shown := false
	return each(stream, func(update *steadpb.StatusResponse) error {
		merge(seen, update)
		services := sorted(seen)
		if inPlace && !format.json() {
			fmt.Fprint(c.out, "\x1b[H\x1b[2J") // home, and clear the screen
		} else if shown && !format.json() {
			fmt.Fprintln(c.out)
		}
		shown = true
		return c.showStatus(services, update.DaemonProblem, format)
	})
}

// merge brings seen up to date with what Watch sent.
func merge(seen map[string]*steadpb.Service, update *steadpb.StatusResponse) {
	for _, s := range update.Services {
		seen[s.Project+"/"+s.Name] = s
	}
	for _, key := range update.Removed {
		delete(seen, key)
	}
}

func sorted(seen map[string]*steadpb.Service) []*steadpb.Service {
	services := make([]*steadpb.Service, 0, len(seen))
	for _, s := range seen {
		services = append(services, s)
	}
	slices.SortFunc(services, func(a, b *steadpb.Service) int {
		if by := strings.Compare(a.Project, b.Project); by != 0 {
			return by
		}
		return strings.Compare(a.Name, b.Name)
	})
	return services
}

// width is how wide lines may be: as wide as the terminal, else unlimited (0).
func (c *cli) width() int {
	fd, ok := terminal(c.out)
	if !ok {
		return 0
	}
	columns, _, err := term.GetSize(fd)
	if err != nil {
		return 0
	}
	return columns
}
