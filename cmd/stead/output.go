package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"
)

// output is the value of --output.
type output string

func (o *output) flag(cmd *cobra.Command) {
	*o = "text"
	cmd.Flags().VarP(o, "output", "o", "text or json")
	// The name is right above; an error here cannot happen.
	_ = cmd.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

func (o *output) json() bool { return *o == "json" }

// String, Set and Type make it a flag's value.
func (o *output) String() string { return string(*o) }

// Set takes the word of the command line.
func (o *output) Set(word string) error {
	if word != "text" && word != "json" {
		return fmt.Errorf("%q is neither text nor json", word)
	}
	*o = output(word)
	return nil
}

// Type is shown in the help.
func (o *output) Type() string { return "format" }

// writeJSON prints one value on one line, so that a stream of them is NDJSON.
func (c *cli) writeJSON(value any) error {
	encoder := json.NewEncoder(c.out)
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
