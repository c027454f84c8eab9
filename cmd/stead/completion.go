package main

import (
	"time"

	"github.com/spf13/cobra"
)

// completionLimit is what a shell may wait at a press of the tab key before
// a person notices.
const completionLimit = 500 * time.Millisecond

const completionHelp = `Prints the script that makes a shell complete stead's verbs, flags and the
names of services. For example:

  bash: stead completion bash > ~/.local/share/bash-completion/completions/stead
  zsh:  stead completion zsh > "${fpath[1]}/_stead"
  fish: stead completion fish > ~/.config/fish/completions/stead.fish`

func (c *cli) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "completion bash|zsh|fish",
		Short:                 "Prints a shell's completion script",
		Long:                  completionHelp,
		Args:                  cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs:             []string{"bash", "zsh", "fish"},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "bash":
				return cmd.Root().GenBashCompletionV2(c.out, true)
			case "zsh":
				return cmd.Root().GenZshCompletion(c.out)
			}
			return cmd.Root().GenFishCompletion(c.out, true)
		},
	}
}
