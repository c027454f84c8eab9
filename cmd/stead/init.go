package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// manifestName is what projects have; the daemon alone reads it.
const manifestName = "stead.yaml"

const initHelp = `Writes a stead.yaml for the current directory, from the Procfile, compose file,
main packages of Go and package.json in it. What cannot be known is said in
comments: correct it. A stead.yaml that is there is never touched.`

type initShape struct {
	File  string   `json:"file"`
	Found []string `json:"found"` // "Procfile: web, worker"
	Text  string   `json:"text"`
}

func (c *cli) initCommand() *cobra.Command {
	var format output
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Writes a stead.yaml from what is found in this directory",
		Long:  initHelp,
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.init(cmd.Context(), format) },
	}
	format.flag(cmd)
	return cmd
}

func (c *cli) init(ctx context.Context, format output) error {
	directory, err := os.Getwd()
	if err != nil {
		return err
	}
	if _, err := os.Lstat(filepath.Join(directory, manifestName)); err == nil {
		return alreadyThere()
	}
	client, err := c.ensureDaemon(ctx)
	if err != nil {
		return err
	}
	answer, err := client.Check(ctx, &steadpb.CheckRequest{Directory: directory, Propose: true})
	if err != nil {
		return err
	}
	p := answer.GetProposal()
	if p.GetText() == "" {
		return runtime.WithHint(
			fmt.Errorf("nothing is found in %s that says what runs: no Procfile, no compose file, no main package of Go, no package.json: %w", directory, runtime.NotFound),
			"write a stead.yaml; the least is: services: {web: {command: ./web}}")
	}
	file, err := accept(directory, p)
	if err != nil {
		return err
	}
	if format.json() {
		return c.writeJSON(initShape{File: file, Found: list(p.Found), Text: p.Text})
	}
	fmt.Fprintf(c.out, "%s is written, from %s\ncorrect what stands in its comments, then: stead up\n", manifestName, strings.Join(p.Found, "; "))
	return nil
}

func alreadyThere() error {
	return runtime.WithHint(errors.New(manifestName+" is there already, and is not touched"), "see what is wrong in it: stead check; or remove it first")
}

// accept makes a proposal the manifest of a directory that has none.
func accept(directory string, p *steadpb.Proposal) (file string, err error) {
	file = filepath.Join(directory, manifestName)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", alreadyThere()
	}
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(p.Text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(file) // half of a manifest is worse than none
		return "", fmt.Errorf("write %s: %w", file, err)
	}
	return file, nil
}

// offer says what there could be where up found no manifest, and on a terminal
// asks whether to take it: nothing is guessed silently. Without a proposal, or
// a yes, missing is the answer.
func (u *up) offer(ctx context.Context, request *steadpb.UpRequest, missing error) error {
	answer, err := u.client.Check(ctx, &steadpb.CheckRequest{Directory: request.Directory, Propose: true})
	p := answer.GetProposal()
	if err != nil || p.GetText() == "" || answer.GetFile() != "" { // also: a daemon that knows no proposals
		return missing
	}
	fmt.Fprintf(u.out, "found %s; as a %s that is:\n\n%s\n", strings.Join(p.Found, "; "), manifestName, indented(p.Text))
	how := runtime.WithHint(missing, "`stead init` writes what is shown above, for you to correct; then: stead up")
	if !u.onTerminal() {
		return how
	}
	fmt.Fprintf(u.out, "write %s and start? [y/N] ", manifestName)
	line, err := u.readLine(ctx)
	if err != nil {
		fmt.Fprintln(u.out)
		return err
	}
	if word := strings.ToLower(strings.TrimSpace(line)); word != "y" && word != "yes" {
		return how
	}
	_, err = accept(request.Directory, p)
	return err
}

func indented(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if strings.TrimSpace(line) != "" {
			out.WriteString("    ")
		}
		out.WriteString(line)
	}
	return out.String()
}

// readLine reads a line from the terminal, until ctx ends. The end of input is
// an empty line.
func (c *cli) readLine(ctx context.Context) (string, error) {
	reader, err := newInterruptibleReader(c.in)
	if err != nil {
		return "", err
	}
	defer reader.close()
	stop := context.AfterFunc(ctx, reader.interrupt) // wakes the read below
	defer func() {
		if stop() {
			reader.interrupt() // closes the other end
		}
	}()
	line, err := bufio.NewReader(reader).ReadString('\n')
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil && !errors.Is(err, io.EOF):
		return "", err
	}
	return line, nil
}
