package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
)

func (c *cli) environmentsCommand() *cobra.Command {
	var format output
	cmd := &cobra.Command{
		Use: "environments", Aliases: []string{"envs"}, Args: cobra.NoArgs,
		Short: "Lists the environments of a manifest, for --env",
		RunE:  func(cmd *cobra.Command, _ []string) error { return c.environments(cmd.Context(), format) },
	}
	cmd.Flags().StringVarP(&c.file, "file", "f", "", "the manifest, instead of the stead.yaml of this directory or its parents")
	format.flag(cmd)
	return cmd
}

func (c *cli) environments(ctx context.Context, format output) error {
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
	answer, err := client.Environments(ctx, &steadpb.EnvironmentsRequest{Directory: directory, File: file, Environment: os.Environ()})
	if err != nil {
		return err
	}
	if format.json() {
		return c.writeJSON(shapeEnvironments(answer))
	}
	rows := [][]cell{{{"NAME", plain}, {"RUNTIME", plain}, {"CONTEXT", plain}, {"NAMESPACE", plain}}}
	for _, e := range answer.Environments {
		at := e.Context
		if at == "" && e.Name != localEnvironment {
			at = "(the kubeconfig's current one)"
		}
		rows = append(rows, []cell{{e.Name, plain}, {e.Runtime, plain}, {at, plain}, {e.Namespace, plain}})
	}
	for _, line := range layOut(rows, 0, c.paint(c.out)) {
		fmt.Fprintln(c.out, line)
	}
	return nil
}

type environmentShape struct {
	Name       string `json:"name"`
	Runtime    string `json:"runtime"`
	Context    string `json:"context"`
	Namespace  string `json:"namespace"`
	Kubeconfig string `json:"kubeconfig"`
	Registry   string `json:"registry"`
	Watch      bool   `json:"watch"`
}

func shapeEnvironments(answer *steadpb.EnvironmentsResponse) []environmentShape {
	shapes := []environmentShape{}
	for _, e := range answer.Environments {
		shapes = append(shapes, environmentShape{e.Name, e.Runtime, e.Context, e.Namespace, e.Kubeconfig, e.Registry, e.Watch})
	}
	return shapes
}
