package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/runtime"
)

// The rules of what is said on stderr: each message is one line that begins
// with "stead: error:" or "stead: warning:", in lower case and without a full
// stop; what the user can do about it follows as "stead: hint:". Nothing else
// in this program writes such lines.

// The exit codes; rootHelp documents them.
const (
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitService     = 4
	exitNoDaemon    = 5
	exitInterrupted = 130
)

// ended is an error with an exit code of its own. With err nil everything
// has been said already.
type ended struct {
	code int
	err  error
}

func (e ended) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e ended) Unwrap() error { return e.err }

// usage returns an error about the command line.
func usage(format string, args ...any) error {
	return ended{exitUsage, fmt.Errorf(format, args...)}
}

func usageError(cmd *cobra.Command, err error) error {
	return ended{exitUsage, runtime.WithHint(err, "see: "+cmd.CommandPath()+" --help")}
}

// conclude says what err has to tell and returns the exit code.
func (c *cli) conclude(ctx context.Context, root *cobra.Command, args []string, err error) int {
	var end ended
	switch {
	case err == nil:
		return 0
	case errors.As(err, &end) && end.err == nil:
		return end.code
	case interrupt(ctx) != nil && !errors.As(err, &end):
		return exitInterrupted
	case !c.began:
		c.sayError(err)
		if runtime.Hint(err) == "" {
			c.hint(suggestion(root, args))
		}
		return exitUsage
	}
	err = c.explain(err)
	c.sayError(err)
	return exitCode(err)
}

func exitCode(err error) int {
	var end ended
	switch {
	case errors.As(err, &end):
		return end.code
	case errors.Is(err, runtime.NotFound):
		return exitNotFound
	}
	return exitError
}

// suggestion is the hint for a command line that cobra found no sense in.
func suggestion(root *cobra.Command, args []string) string {
	cmd, _, err := root.Find(args)
	if err != nil && len(args) > 0 {
		if near := root.SuggestionsFor(args[0]); len(near) > 0 {
			return "did you mean: stead " + near[0]
		}
	}
	return "see: " + cmd.CommandPath() + " --help"
}

// explain tells a daemon that is not there from one that has a problem.
func (c *cli) explain(err error) error {
	if errors.As(err, new(ended)) {
		return err
	}
	if class := runtime.Class(err); class == runtime.Unavailable || class == runtime.Internal {
		if home, homeErr := c.home(); homeErr == nil && !alive(home.Socket) {
			return ended{exitNoDaemon, err}
		}
	}
	return err
}

func (c *cli) sayError(err error) {
	var all runtime.Diagnostics
	if errors.As(err, &all) {
		c.sayDiagnostics(all)
		return
	}
	c.say("error", withoutClass(err))
	c.hint(runtime.Hint(err))
}

// withoutClass is the text of err without the name of its class at the end,
// which says nothing that the text has not said.
func withoutClass(err error) string {
	text := strings.TrimSpace(err.Error())
	if shorter := strings.TrimSuffix(text, ": "+runtime.Class(err).Error()); runtime.Class(err) != runtime.Internal {
		return shorter
	}
	return text
}

func (c *cli) warn(format string, args ...any) {
	c.say("warning", fmt.Sprintf(format, args...))
}

func (c *cli) hint(text string) {
	if text != "" {
		c.say("hint", c.aim(text))
	}
}

func (c *cli) say(kind, text string) {
	p := c.paint(c.err)
	color := map[string]color{"error": red, "warning": yellow, "hint": cyan}[kind]
	first, rest, more := strings.Cut(text, "\n")
	if more {
		rest = "\n" + rest
	}
	fmt.Fprintf(c.err, "%s %s%s\n", p.in(color, "stead: "+kind+":"), first, rest)
}

// sayDiagnostics says what is wrong in files, each with its line and a caret.
func (c *cli) sayDiagnostics(all []runtime.Diagnostic) {
	directory, err := os.Getwd()
	if err != nil {
		directory = "" // paths stay absolute
	}
	for _, d := range all {
		d.File = shorter(directory, d.File)
		kind := string(d.Severity)
		if kind != "warning" {
			kind = "error"
		}
		c.say(kind, d.Position()+": "+d.Text)
		fmt.Fprint(c.err, excerpt(d.Source, d.Column, d.EndColumn))
		c.hint(d.Hint)
	}
}

// excerpt returns the source line and, below it, a caret under the column
// and tildes to the end of what is meant.
func excerpt(source string, column, end int) string {
	source = strings.TrimRight(source, "\r\n")
	if strings.TrimSpace(source) == "" {
		return ""
	}
	text := "    " + source + "\n"
	if column < 1 || column > len(source)+1 {
		return text
	}
	// Tabs are kept, so that the caret lands under its column whatever the
	// terminal makes of them; anything else is one cell wide.
	indent := strings.Map(func(r rune) rune {
		if r == '\t' {
			return r
		}
		return ' '
	}, source[:column-1])
	marks := "^"
	if end = min(end, len(source)+1); end > column+1 {
		marks += strings.Repeat("~", len([]rune(source[column:end-1])))
	}
	return text + "    " + indent + marks + "\n"
}

// shorter returns path as seen from directory when that is the shorter way
// to write it.
func shorter(directory, path string) string {
	relative, err := filepath.Rel(directory, path)
	if err != nil || directory == "" || len(relative) >= len(path) {
		return path
	}
	return relative
}
