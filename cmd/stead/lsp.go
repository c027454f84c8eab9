package main

import (
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/lsp"
)

func (c *cli) lspCommand() *cobra.Command {
	var verbose bool
	cmd := &cobra.Command{
		Use:   "lsp",
		Short: "Shows editors what does not build, by the Language Server Protocol",
		Long: `Speaks the Language Server Protocol on standard input and output, for editors
to start beside the server of the language. It publishes what compilers say of
the services of the workspace, and where services died, after each save, and
takes it back when a build is good. It waits for a daemon that is not there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			directory, err := os.Getwd()
			if err != nil {
				return err
			}
			home, err := c.home()
			if err != nil {
				return err
			}
			client := ipc.NewClient(home.Socket)
			defer client.Close()
			options := &slog.HandlerOptions{Level: slog.LevelInfo}
			if verbose {
				options.Level = slog.LevelDebug
			}
			err = lsp.Serve(cmd.Context(), lsp.Options{
				In: c.in, Out: c.out, Daemon: client, Directory: directory, Version: version,
				Log: slog.New(slog.NewTextHandler(c.err, options)), // editors keep what a server writes there
			})
			if err != nil && interrupt(cmd.Context()) == nil {
				err = ended{exitError, err} // it is the editor's, with or without a daemon
			}
			return err
		},
	}
	cmd.Flags().Bool("stdio", true, "speak on standard input and output: some editors ask for it, and there is nothing else")
	cmd.Flags().BoolVarP(&verbose, "verbose", "v", false, "say on standard error when the daemon is waited for")
	return cmd
}
