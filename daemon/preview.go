package daemon

import (
	"context"
	"fmt"
	"slices"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// PreviewBuild is the kind of preview that runs builds, and asks nobody.
const PreviewBuild runtime.PreviewKind = "build"

// PreviewResult is what the runtime would do, or has done for an image.
type PreviewResult struct {
	Objects  []runtime.Preview
	Built    []string // services whose build was run
	Warnings []runtime.Diagnostic
}

// Preview asks what the runtime would do with a manifest, and changes nothing;
// but for images, and for builds, which are made. Removal is of what there is,
// whatever a manifest says now.
func (d *Daemon) Preview(ctx context.Context, req UpRequest, kind runtime.PreviewKind) (PreviewResult, error) {
	if kind == runtime.PreviewRemove {
		return d.previewRemoval(ctx)
	}
	environment, err := d.previewEnvironment(ctx, req, kind)
	if err != nil {
		return PreviewResult{}, err
	}
	release, err := d.alone(ctx)
	if err != nil {
		return PreviewResult{}, err
	}
	defer release()
	why := PurposeLook
	switch kind {
	case PreviewBuild:
		why = PurposeCheck
	case runtime.PreviewImage:
		why = PurposeApply
	}
	loaded, err := d.read(ctx, req, environment, why)
	if err != nil {
		return PreviewResult{}, err
	}
	p := loaded.Project
	p.Environment = environment
	result := PreviewResult{Warnings: loaded.Warnings}
	services := closure(p, loaded.Wanted)
	if len(req.Services) > 0 && (kind == PreviewBuild || kind == runtime.PreviewImage) {
		services = loaded.Wanted // who names one does not want to wait for others
	}
	if kind == PreviewBuild || kind == runtime.PreviewImage {
		if result.Built, err = d.buildAll(ctx, p, inOrder(services, loaded.Order)); err != nil || kind == PreviewBuild {
			return result, err
		}
	}
	ask := runtime.PreviewRequest{Environment: d.environment, Project: p.ID, Kind: kind}
	for _, name := range inOrder(services, loaded.Order) {
		spec := p.Services[name].Spec
		if g, ok := d.Present().State.Service(d.name(p.ID, name)).Current(); ok && g.Plan.Revision == p.Services[name].Plan.Revision {
			spec.ID.Number = g.Number // it would stay as it is
		}
		ask.Specs = append(ask.Specs, spec)
	}
	err = d.steadily(ctx, func(l *link) (err error) {
		result.Objects, err = l.Preview(ctx, ask)
		return err
	})
	return result, err
}

// previewEnvironment is what builds inherit, where some are run: the login
// shell's word counts there.
func (d *Daemon) previewEnvironment(ctx context.Context, req UpRequest, kind runtime.PreviewKind) ([]string, error) {
	if kind != PreviewBuild && kind != runtime.PreviewImage {
		return d.remembered(req)
	}
	inherited, err := d.inherited(ctx, req)
	return inherited.Environment, err
}

func (d *Daemon) previewRemoval(ctx context.Context) (PreviewResult, error) {
	l, err := d.runtime(ctx)
	if err != nil {
		return PreviewResult{}, err
	}
	var result PreviewResult
	for id := range d.Present().Projects {
		objects, err := l.Preview(ctx, runtime.PreviewRequest{Environment: d.environment, Project: id, Kind: runtime.PreviewRemove})
		if err != nil {
			return result, err
		}
		result.Objects = append(result.Objects, objects...)
	}
	return result, nil
}

// inOrder sorts services as they are started.
func inOrder(services, order []string) []string {
	return slices.DeleteFunc(slices.Clone(order), func(name string) bool { return !slices.Contains(services, name) })
}

// buildAll runs the builds of services, each one once. The first that fails
// ends it.
func (d *Daemon) buildAll(ctx context.Context, p Project, services []string) (built []string, err error) {
	done := map[string]bool{}
	for _, name := range services {
		s := p.Services[name]
		if s.Build == nil {
			continue
		}
		if key := buildKey(*s.Build); !done[key] {
			if err := d.buildNow(ctx, p, s); err != nil {
				return built, err
			}
			done[key] = true
		}
		built = append(built, name)
	}
	return built, nil
}

// buildNow runs one build, beside those that a roll-out needs, and ends with
// the caller.
func (d *Daemon) buildNow(ctx context.Context, p Project, s Service) error {
	if s.BuildTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, s.BuildTimeout, fmt.Errorf("build of %s did not end within %s: %w", s.Name, span(s.BuildTimeout), runtime.Unavailable))
		defer cancel()
	}
	spec := *s.Build
	spec.ID.Service, spec.ID.Number, spec.Log, spec.Inherited = ":build", 1, "", p.Environment
	var texts *buildTexts
	var exit runtime.Exit
	err := d.steadily(ctx, func(l *link) error {
		session, err := l.Terminal(ctx, runtime.TerminalRequest{Run: &spec})
		if err != nil {
			return err
		}
		defer session.Close()
		texts = &buildTexts{}
		if d.diagnose != nil {
			texts.to = []Diagnoser{d.diagnose(Output{Project: p, Service: s, Build: true})}
		}
		exit, err = readSession(session, texts.write)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("build %s: %w", s.Name, err)
	case exit.Success():
		return nil
	}
	text := texts.text(p.Directory)
	if list := texts.diagnostics(); len(list) > 0 {
		return runtime.Diagnostics(list)
	}
	return fmt.Errorf("%s: %s: %w", s.Name, text, runtime.Invalid)
}

// readSession hands on what a command writes, and returns how it ended.
func readSession(session runtime.Session, write func([]byte)) (runtime.Exit, error) {
	for {
		out, err := session.Receive()
		switch {
		case err != nil:
			return runtime.Exit{}, err
		case out.Exit != nil:
			return *out.Exit, nil
		}
		write(out.Data)
	}
}

// Connect opens a connection to a port of a service, by whatever runs it.
func (d *Daemon) Connect(ctx context.Context, name supervisor.Name, port string) (runtime.Conn, error) {
	l, err := d.runtime(ctx)
	if err != nil {
		return nil, err
	}
	return l.Connect(ctx, runtime.ConnectRequest{
		ID:   runtime.ID{Environment: name.Environment, Project: name.Project, Service: name.Service},
		Port: port,
	})
}
