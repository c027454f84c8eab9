package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) eventsCommand() *cobra.Command {
	var where scope
	var format output
	request := &steadpb.EventsRequest{}
	cmd := &cobra.Command{
		Use:   "events [service…]",
		Short: "Shows what has happened",
		Long: `Shows what has happened to services, oldest first: what was asked for, which
save led to a reload, the phases they went through, and how their processes
ended. With json each event is an object of its own: sequence, time, project,
service, generation, instance, kind (request, reload, phase, exit, watch,
daemon, gap) and text.`,
		ValidArgsFunction: c.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.events(cmd.Context(), &where, args, request, format)
		},
	}
	where.flags(cmd)
	format.flag(cmd)
	cmd.Flags().BoolVarP(&request.Follow, "follow", "f", false, "go on until interrupted")
	cmd.Flags().Int32VarP(&request.Last, "lines", "n", 0, "only so many last events; 0 is all that are kept")
	return cmd
}

func (c *cli) events(ctx context.Context, where *scope, services []string, request *steadpb.EventsRequest, format output) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	sel, present, err := where.find(ctx, client, services)
	if err != nil {
		return err
	}
	request.Selection = sel
	withProject := several(present.Services) || sel.Project+sel.Directory == ""
	stream, err := client.Events(ctx, request)
	if err != nil {
		return err
	}
	return each(stream, func(message *steadpb.EventsResponse) error {
		for _, e := range message.Events {
			if err := c.printEvent(e, withProject, format); err != nil {
				return err
			}
		}
		return nil
	})
}

func (c *cli) printEvent(e *steadpb.Event, withProject bool, format output) error {
	if format.json() {
		return c.writeJSON(eventShape{
			Sequence: e.Sequence, Time: moment(e.Time), Project: e.Project, ProjectID: e.ProjectId, Service: e.Service,
			Generation: e.Generation, Instance: e.Instance, Kind: e.Kind, Text: e.Text,
		})
	}
	p := c.paint(c.out)
	_, err := fmt.Fprintf(c.out, "%s  %-7s  %s  %s\n",
		p.in(dim, instant(e.Time).Local().Format(time.DateTime)), e.Kind, p.in(serviceColor(e.Service), subject(e, withProject)), e.Text)
	return err
}

// subject is what an event happened to: an instance, a generation, a
// service, a project, or the daemon.
func subject(e *steadpb.Event, withProject bool) string {
	name := e.Service
	switch {
	case e.Project == "":
		return "stead"
	case name == "":
		return e.Project
	case withProject:
		name = e.Project + "/" + name
	}
	switch {
	case e.Instance != "":
		return name + "/" + e.Instance
	case e.Generation != 0:
		return fmt.Sprintf("%s/%d", name, e.Generation)
	}
	return name
}

type eventShape struct {
	Sequence   uint64     `json:"sequence"`
	Time       *time.Time `json:"time"`
	Project    string     `json:"project"`
	ProjectID  string     `json:"project_id"`
	Service    string     `json:"service"`
	Generation uint64     `json:"generation"`
	Instance   string     `json:"instance"`
	Kind       string     `json:"kind"`
	Text       string     `json:"text"`
}
