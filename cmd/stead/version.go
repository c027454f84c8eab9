package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) versionCommand() *cobra.Command {
	var format output
	var daemon bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Says which version this is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			shape := versionShape{Version: version}
			if daemon {
				client, err := c.existing()
				if err != nil {
					return err
				}
				answer, err := client.Version(cmd.Context(), &steadpb.VersionRequest{})
				if err != nil {
					return err
				}
				shape.Daemon = answer.Version
			}
			if format.json() {
				return c.writeJSON(shape)
			}
			fmt.Fprintln(c.out, "stead", version)
			if daemon {
				fmt.Fprintln(c.out, "steadd", shape.Daemon)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&daemon, "daemon", false, "ask the daemon for its version too")
	format.flag(cmd)
	return cmd
}

// versionShape is what version --output json prints.
type versionShape struct {
	Version string `json:"version"`
	Daemon  string `json:"daemon,omitempty"` // only with --daemon
}
