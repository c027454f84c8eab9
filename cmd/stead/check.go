package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

func (c *cli) checkCommand() *cobra.Command {
	var format output
	var profiles []string
	var schema bool
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Says everything that is wrong in a manifest",
		Long:  "Reads a manifest, changes nothing, and says all that is wrong in it. Errors end it with 1.",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if schema {
				return c.schema(cmd.Context())
			}
			return c.check(cmd.Context(), profiles, format)
		},
	}
	cmd.Flags().StringVarP(&c.file, "file", "f", "", "the manifest, instead of the stead.yaml of this directory or its parents")
	cmd.Flags().StringArrayVar(&profiles, "profile", nil, "with the services of this profile (repeatable)")
	cmd.Flags().BoolVar(&schema, "schema", false, "print the JSON Schema of a manifest, for editors, instead")
	format.flag(cmd)
	return cmd
}

// schema prints what the daemon in use understands: an editor's copy of it
// cannot be of another version.
func (c *cli) schema(ctx context.Context) error {
	client, err := c.ensureDaemon(ctx)
	if err != nil {
		return err
	}
	answer, err := client.Check(ctx, &steadpb.CheckRequest{Schema: true})
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.out, answer.Schema)
	return err
}

func (c *cli) check(ctx context.Context, profiles []string, format output) error {
	directory, err := os.Getwd()
	if err != nil {
		return err
	}
	file, err := absolute(c.file)
	if err != nil {
		return err
	}
	client, err := c.ensureDaemon(ctx)
	if err != nil {
		return err
	}
	answer, err := client.Check(ctx, &steadpb.CheckRequest{
		Directory: directory, File: file, Profiles: profiles, Environment: os.Environ(),
	})
	if err != nil {
		return err
	}
	found := diagnostics(answer.Diagnostics)
	errors := 0
	for _, d := range found {
		if d.Severity != runtime.SeverityWarning {
			errors++
		}
	}
	if format.json() {
		err = c.writeJSON(shapeCheck(answer))
	} else {
		c.sayDiagnostics(found)
	}
	if errors > 0 {
		return ended{code: exitError}
	}
	if !format.json() {
		fmt.Fprintf(c.out, "%s is well: %s (%s)\n", shorter(directory, answer.File), count(len(answer.Services)), strings.Join(answer.Services, ", "))
	}
	return err
}

func diagnostics(sent []*steadpb.Diagnostic) []runtime.Diagnostic {
	out := make([]runtime.Diagnostic, len(sent))
	for i, d := range sent {
		out[i] = ipc.Diagnostic(d)
	}
	return out
}

type checkShape struct {
	File        string            `json:"file"`
	Name        string            `json:"name"`
	Services    []string          `json:"services"` // in start order
	Diagnostics []diagnosticShape `json:"diagnostics"`
}

type diagnosticShape struct {
	File      string `json:"file"`
	Line      int32  `json:"line"`   // 1 is the first; 0: the whole file
	Column    int32  `json:"column"` // 1 is the first, in bytes; 0: the whole line
	EndLine   int32  `json:"end_line"`
	EndColumn int32  `json:"end_column"`
	Severity  string `json:"severity"`
	Text      string `json:"text"`
	Hint      string `json:"hint"`
	Source    string `json:"source"`
	Service   string `json:"service"`

	Generation uint64 `json:"generation,omitempty"`
	Cause      string `json:"cause,omitempty"` // what led to it
	Tool       string `json:"tool,omitempty"`  // who says so
	Code       string `json:"code,omitempty"`  // the tool's own name for it
}

func shapeCheck(answer *steadpb.CheckResponse) checkShape {
	return checkShape{
		File: answer.File, Name: answer.Name, Services: list(answer.Services),
		Diagnostics: shapeDiagnostics(answer.Diagnostics),
	}
}

func shapeDiagnostics(sent []*steadpb.Diagnostic) []diagnosticShape {
	shapes := make([]diagnosticShape, len(sent))
	for i, d := range sent {
		shapes[i] = diagnosticShape{
			File: d.File, Line: d.Line, Column: d.Column, EndLine: d.EndLine, EndColumn: d.EndColumn,
			Severity: d.Severity, Text: d.Text, Hint: d.Hint, Source: d.Source, Service: d.Service,
			Generation: d.Generation, Cause: d.Cause, Tool: d.Tool, Code: d.Code,
		}
	}
	return shapes
}
