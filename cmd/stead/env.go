package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

const envHelp = `Shows the environment that the next start of a service gets: each variable with
the file and line that sets it, or

  login shell  what your login shell sets in the project's directory, read by up
  caller       the environment that up was called in, which wins over the shell
  stead        ports, and where the services are that it depends on

The values of what looks like a secret are left out, unless --show-secrets.
--refresh asks the login shell again, without touching what runs.`

func (c *cli) envCommand() *cobra.Command {
	var where scope
	var format output
	var secrets, refresh bool
	cmd := &cobra.Command{
		Use:               "env SERVICE",
		Short:             "Shows the environment of a service, and where it is from",
		Long:              envHelp,
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: c.completeOne,
		RunE: func(cmd *cobra.Command, args []string) error {
			sel, err := where.selection(args)
			if err != nil {
				return err
			}
			req := &steadpb.EnvRequest{Selection: sel, ShowSecrets: secrets, Refresh: refresh}
			if refresh {
				req.Environment = os.Environ()
			}
			return c.env(cmd.Context(), req, format)
		},
	}
	cmd.Flags().StringVar(&where.project, "project", "", "the project, instead of the one of the current directory")
	cmd.Flags().BoolVar(&secrets, "show-secrets", false, "with the values of secrets")
	cmd.Flags().BoolVar(&refresh, "refresh", false, "ask the login shell again; services get it when they are started next")
	format.flag(cmd)
	return cmd
}

func (c *cli) env(ctx context.Context, req *steadpb.EnvRequest, format output) error {
	client, err := c.client(ctx)
	if err != nil {
		return err
	}
	answer, err := client.Env(ctx, req)
	if err != nil {
		return err
	}
	if format.json() {
		return c.writeJSON(shapeEnv(answer))
	}
	c.sayDiagnostics(diagnostics(answer.Warnings))
	for _, line := range layOut(envRows(answer.Variables), 0, c.paint(c.out)) {
		fmt.Fprintln(c.out, line)
	}
	return nil
}

// envRows has the origin first: values may be of any length.
func envRows(variables []*steadpb.EnvVariable) [][]cell {
	directory, err := os.Getwd()
	if err != nil {
		directory = "" // paths stay absolute
	}
	rows := [][]cell{plainCells([]string{"ORIGIN", "VARIABLE"})}
	for _, v := range variables {
		origin := v.Origin
		if strings.HasPrefix(origin, "/") {
			origin = shorter(directory, origin)
		}
		value := cell{v.Name + "=" + visible(v.Value), plain}
		if v.Masked {
			value = cell{v.Name + "=***", yellow}
		}
		rows = append(rows, []cell{{origin, dim}, value})
	}
	return rows
}

// visible is a value on one line, without what a terminal would act on.
func visible(value string) string {
	if strings.ContainsFunc(value, unicode.IsControl) {
		return strconv.Quote(value)
	}
	return value
}

type envShape struct {
	Project     string            `json:"project"`
	Service     string            `json:"service"`
	Variables   []variableShape   `json:"variables"` // sorted by name
	Diagnostics []diagnosticShape `json:"diagnostics"`
}

type variableShape struct {
	Name   string `json:"name"`
	Value  string `json:"value"`  // empty when masked
	Origin string `json:"origin"` // "/path/of/file:line", "login shell", "caller", "stead"
	Masked bool   `json:"masked"`
}

func shapeEnv(answer *steadpb.EnvResponse) envShape {
	shape := envShape{
		Project: answer.Name, Service: answer.Service,
		Variables: make([]variableShape, len(answer.Variables)), Diagnostics: shapeDiagnostics(answer.Warnings),
	}
	for i, v := range answer.Variables {
		shape.Variables[i] = variableShape{v.Name, v.Value, v.Origin, v.Masked}
	}
	return shape
}
