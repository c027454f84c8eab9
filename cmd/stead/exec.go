package main

import (
	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) execCommand() *cobra.Command {
	var where scope
	var replica int32
	cmd := &cobra.Command{
		Use:   "exec SERVICE -- command…",
		Short: "Runs a command in the environment of a service",
		Long: `Runs a command in the environment and working directory of a service, with a
terminal when stdin and stdout are terminals. Ends with the command's exit
code, or with 128 and the number of the signal that ended it.`,
		Args:              cobra.MinimumNArgs(2),
		ValidArgsFunction: c.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			command := afterDash(args[1:])
			if len(command) == 0 {
				return usage("exec %s: which command?", args[0])
			}
			sel, err := where.selection(args[:1])
			if err != nil {
				return err
			}
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			s := session{cli: c, raw: c.onTerminal()}
			return s.run(cmd.Context(), client, &steadpb.TerminalOpen{
				Selection: sel, Replica: replica, Command: command, Terminal: s.raw,
			})
		},
	}
	// What follows the service is the command's, flags too.
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&where.project, "project", "", "the project, instead of the one of the current directory")
	cmd.Flags().Int32Var(&replica, "replica", 0, "which of the service's replicas")
	return cmd
}

// afterDash returns a command without the "--" that may come before it.
func afterDash(args []string) []string {
	if len(args) > 0 && args[0] == "--" {
		return args[1:]
	}
	return args
}
