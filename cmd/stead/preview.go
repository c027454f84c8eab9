package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// preview is one call of a verb that shows what would be done.
type preview struct {
	*cli
	kind     string
	profiles []string
	format   output
	yes      bool
	show     func([]*steadpb.PreviewObject) error
}

func (p *preview) command(use, short, long string) *cobra.Command {
	cmd := &cobra.Command{
		Use: use + " [service…]", Short: short, Long: long, ValidArgsFunction: p.completeServices,
		RunE: func(cmd *cobra.Command, args []string) error { return p.run(cmd.Context(), args) },
	}
	cmd.Flags().StringVarP(&p.file, "file", "f", "", "the manifest, instead of the stead.yaml of this directory or its parents")
	cmd.Flags().StringArrayVar(&p.profiles, "profile", nil, "also the services of this profile (repeatable)")
	p.format.flag(cmd)
	return cmd
}

// run asks the daemon, and shows what it says.
func (p *preview) run(ctx context.Context, services []string) error {
	client, err := p.ensureDaemon(ctx)
	if err != nil {
		return err
	}
	answer, err := p.call(ctx, client, services)
	if err != nil {
		return err
	}
	if p.format.json() {
		return p.writeJSON(shapePreview(answer))
	}
	p.sayDiagnostics(diagnostics(answer.Warnings))
	if len(answer.Built) > 0 {
		fmt.Fprintln(p.out, "built "+strings.Join(answer.Built, ", "))
	}
	return p.show(answer.Objects)
}

func (p *preview) call(ctx context.Context, client steadpb.DaemonClient, services []string) (*steadpb.PreviewResponse, error) {
	directory, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	file, err := absolute(p.file)
	if err != nil {
		return nil, err
	}
	request := &steadpb.PreviewRequest{
		Kind: p.kind, Directory: directory, File: file, Services: services, Profiles: p.profiles, Environment: os.Environ(),
	}
	if p.kind == string(runtime.PreviewImage) {
		up := &steadpb.UpRequest{Directory: directory, File: file, Environment: request.Environment}
		if request.Agreed, err = p.agree(ctx, client, up, p.yes); err != nil {
			return nil, err
		}
	}
	return client.Preview(ctx, request)
}

func (c *cli) buildCommand() *cobra.Command {
	p := &preview{cli: c}
	p.show = func(objects []*steadpb.PreviewObject) error {
		for _, o := range objects {
			fmt.Fprintln(c.out, strings.TrimSpace(o.Service+"  "+o.Name+"  "+o.Text))
		}
		return nil
	}
	cmd := p.command("build", "Builds services, and with --env their images", `Runs the builds of services, dependencies first, and ends with the first that
fails. With --env NAME it builds for that environment, makes the images, brings
them to where they are run from, and prints their names and digests.`)
	cmd.Flags().BoolVarP(&p.yes, "yes", "y", false, "with --env: agree to a context that the manifest does not name")
	cmd.PreRun = func(*cobra.Command, []string) {
		if p.kind = string(runtime.PreviewImage); c.atHome() {
			p.kind = "build"
		}
	}
	return cmd
}

func (c *cli) renderCommand() *cobra.Command {
	p := &preview{cli: c, kind: string(runtime.PreviewRender)}
	secrets := false
	p.show = func(objects []*steadpb.PreviewObject) error {
		for i, o := range objects {
			if i > 0 {
				fmt.Fprintln(c.out, "---")
			}
			if o.Kind == "Secret" && !secrets {
				fmt.Fprintln(c.out, "# the values are left out: --show-secrets prints them, as this cannot be applied without")
			}
			fmt.Fprintln(c.out, strings.TrimRight(o.Text, "\n"))
		}
		return nil
	}
	cmd := p.command("render", "Prints the objects that up --env would make", `Prints the objects that `+"`stead --env NAME up`"+` would make, as YAML. The
cluster is asked for the platforms of its machines, if anything. Images are
those of the files that are there now: stead build makes them; made-at-start
stands for one that cannot be made yet.
The values of Secrets are left out, unless --show-secrets.`)
	cmd.Flags().BoolVar(&secrets, "show-secrets", false, "with the values of Secrets, so that it can be applied")
	cmd.PreRun = func(*cobra.Command, []string) {
		if secrets {
			p.kind = string(runtime.PreviewOpen)
		}
	}
	return p.elsewhere(cmd)
}

func (c *cli) diffCommand() *cobra.Command {
	p := &preview{cli: c, kind: string(runtime.PreviewDiff)}
	p.show = func(objects []*steadpb.PreviewObject) error {
		changed := 0
		for _, o := range objects {
			if o.Action == "none" {
				continue
			}
			changed++
			fmt.Fprintf(c.out, "%s %s/%s\n", o.Action, o.Kind, o.Name)
			if text := strings.TrimRight(o.Text, "\n"); text != "" {
				fmt.Fprintln(c.out, text)
			}
		}
		if changed == 0 {
			fmt.Fprintln(c.out, "nothing differs")
		}
		return nil
	}
	return p.elsewhere(p.command("diff", "Shows what up --env would change", `Compares the objects that `+"`stead --env NAME up`"+` would make with those that are there:
the cluster itself is asked, by a dry run.`))
}

// elsewhere has a verb refused at home, where there are no objects.
func (p *preview) elsewhere(cmd *cobra.Command) *cobra.Command {
	run := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if p.atHome() {
			return ended{exitUsage, runtime.WithHint(fmt.Errorf("%s is for an environment: at home services are processes", cmd.Name()), "add --env NAME; stead environments shows which there are")}
		}
		return run(cmd, args)
	}
	return cmd
}

// printObjects is a list of objects, one line each.
func (c *cli) printObjects(objects []*steadpb.PreviewObject) {
	var rows [][]cell
	for _, o := range objects {
		rows = append(rows, []cell{{"  " + o.Action, plain}, {o.Kind, plain}, {o.Name, plain}})
	}
	for _, line := range layOut(rows, 0, c.paint(c.out)) {
		fmt.Fprintln(c.out, line)
	}
}

type previewShape struct {
	Objects     []objectShape     `json:"objects"`
	Built       []string          `json:"built"`
	Diagnostics []diagnosticShape `json:"diagnostics"`
}

type objectShape struct {
	Kind    string `json:"kind"`
	Name    string `json:"name"`
	Service string `json:"service"` // empty: the project's
	Action  string `json:"action"`  // "create", "change", "remove", "none"; empty for render
	Text    string `json:"text"`
}

func shapePreview(answer *steadpb.PreviewResponse) previewShape {
	shape := previewShape{Objects: []objectShape{}, Built: list(answer.Built), Diagnostics: shapeDiagnostics(answer.Warnings)}
	for _, o := range answer.Objects {
		shape.Objects = append(shape.Objects, objectShape{Kind: o.Kind, Name: o.Name, Service: o.Service, Action: o.Action, Text: o.Text})
	}
	return shape
}
