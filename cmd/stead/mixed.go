package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// mixed brings services up in two places: first the rest, where it is to be,
// then what runs on this machine, which is told where it finds the rest.
func (u *up) mixed(ctx context.Context, services []string) error {
	switch {
	case len(u.local) == 0 || u.rest == "":
		return usage("--local and --rest go together: --local web --rest staging")
	case len(services) > 0:
		return usage("--local names the services already, without %s", strings.Join(services, " "))
	case !u.atHome():
		return usage("--rest names the environment already, without --env")
	}
	there := *u.cli
	there.target = u.rest
	if there.atHome() {
		return usage("--rest is an environment of the manifest: stead environments shows which there are")
	}
	rest := &up{cli: &there, profiles: u.profiles, limit: u.limit, yes: u.yes, without: u.local}
	if err := rest.run(ctx, nil); err != nil {
		return err
	}
	if rest.answer == nil {
		return nil
	}
	answer, err := rest.client.Forward(ctx, &steadpb.ForwardRequest{Selection: rest.selection(rest.answer.Services)})
	if err != nil {
		return err
	}
	for _, p := range answer.Ports {
		if p.Address != "" {
			fmt.Fprintf(u.out, "%s/%s of %s is at %s\n", p.Service, p.Port, u.rest, p.Address)
		}
	}
	u.remote = answer.Ports
	return u.run(ctx, u.local)
}
