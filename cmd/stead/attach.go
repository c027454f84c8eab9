package main

import (
	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) attachCommand() *cobra.Command {
	var where scope
	var replica int32
	cmd := &cobra.Command{
		Use:   "attach SERVICE",
		Short: "Connects this terminal with a service's",
		Long: `Connects this terminal with the one of a service (terminal: true in the
manifest). Ctrl-P Ctrl-Q or Ctrl-] detaches; the service keeps running.`,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := where.selection(args)
			if err != nil {
				return err
			}
			client, err := c.client(cmd.Context())
			if err != nil {
				return err
			}
			s := session{cli: c, detachable: true, raw: c.onTerminal()}
			return s.run(cmd.Context(), client, &steadpb.TerminalOpen{Selection: sel, Replica: replica})
		},
	}
	cmd.Flags().StringVar(&where.project, "project", "", "the project, instead of the one of the current directory")
	cmd.Flags().Int32Var(&replica, "replica", 0, "which of the service's replicas")
	return cmd
}
