package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) runCommand() *cobra.Command {
	var where scope
	cmd := &cobra.Command{
		Use:   "run -- command…",
		Short: "Runs a command in the environment of the project",
		Long: `Runs a command in the current directory with the project's environment, so
that it reaches the services by STEAD_<NAME>_URL; with a terminal when stdin
and stdout are terminals. Ends with the command's exit code, or with 128 and
the number of the signal that ended it.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := where.selection(nil)
			if err != nil {
				return err
			}
			directory, err := os.Getwd()
			if err != nil {
				return err
			}
			client, err := c.ensureDaemon(cmd.Context())
			if err != nil {
				return err
			}
			s := session{cli: c, raw: c.onTerminal()}
			return s.run(cmd.Context(), client, &steadpb.TerminalOpen{
				Selection: sel, Command: args, Terminal: s.raw,
				Environment: os.Environ(), WorkingDirectory: directory,
			})
		},
	}
	cmd.Flags().SetInterspersed(false)
	cmd.Flags().StringVar(&where.project, "project", "", "the project, instead of the one of the current directory")
	return cmd
}
