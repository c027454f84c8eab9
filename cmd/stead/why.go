package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) whyCommand() *cobra.Command {
	var where scope
	var format output
	cmd := &cobra.Command{
		Use:   "why SERVICE",
		Short: "Names the one cause of a service not being as wanted",
		Long: `Names the one cause of a service not being as wanted: what it waits for, how it
ended, who holds its port, where its build fails. With evidence, the last lines
it wrote, and what to do next.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.why(cmd.Context(), &where, args, format)
		},
	}
	cmd.Flags().StringVar(&where.project, "project", "", "the project, instead of the one of the current directory")
	format.flag(cmd)
	return cmd
}

func (c *cli) why(ctx context.Context, where *scope, services []string, format output) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	sel, err := where.selection(services)
	if err != nil {
		return err
	}
	answer, err := client.Why(ctx, &steadpb.WhyRequest{Selection: sel})
	if err != nil {
		return err
	}
	if format.json() {
		return c.writeJSON(whyShape{
			Project: answer.Project, Service: answer.Service, Phase: answer.Phase, Kind: answer.Kind, Summary: answer.Summary,
			Chain: list(answer.Chain), Evidence: list(answer.Evidence), Output: list(answer.Output), Hint: c.aim(answer.Hint),
			Cause: answer.Cause,
		})
	}
	fmt.Fprintln(c.out, answer.Summary)
	for _, line := range answer.Evidence {
		fmt.Fprintln(c.out, "  - "+line)
	}
	if len(answer.Output) > 0 {
		fmt.Fprintln(c.out, "  its last output:")
		for _, line := range answer.Output {
			fmt.Fprintln(c.out, "    "+line)
		}
	}
	if answer.Hint != "" {
		fmt.Fprintln(c.out, "hint: "+c.aim(answer.Hint))
	}
	return nil
}

type whyShape struct {
	Project  string   `json:"project"`
	Service  string   `json:"service"`
	Phase    string   `json:"phase"`
	Kind     string   `json:"kind"`
	Summary  string   `json:"summary"`
	Chain    []string `json:"chain"`
	Evidence []string `json:"evidence"`
	Output   []string `json:"output"`
	Hint     string   `json:"hint"`
	Cause    string   `json:"cause"`
}
