package manifest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Wanted returns the services that an `up` is about, in Order: those that are
// named, else all that no profile keeps back. What they depend on is not
// added: the supervisor takes it along. A service or profile that the
// manifest does not have is NotFound.
func (p *Project) Wanted(services, profiles []string) ([]string, error) {
	var all []string
	for _, s := range p.Services {
		all = append(all, s.Profiles...)
	}
	slices.Sort(all)
	if err := p.missing("profile", profiles, slices.Compact(all)); err != nil {
		return nil, err
	}
	if err := p.missing("service", services, p.Order); err != nil {
		return nil, err
	}
	var out []string
	for _, name := range p.Order {
		if slices.Contains(services, name) || len(services) == 0 && !keptBack(p.Services[name].Profiles, profiles) {
			out = append(out, name)
		}
	}
	return out, nil
}

func (p *Project) missing(what string, names, known []string) error {
	var unknown []string
	for _, name := range names {
		if !slices.Contains(known, name) {
			unknown = append(unknown, strconv.Quote(name))
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	first, _ := strconv.Unquote(unknown[0])
	return runtime.WithHint(
		fmt.Errorf("no %s %s in %s: %w", what, strings.Join(unknown, ", "), p.Name, runtime.NotFound),
		suggest(first, known))
}
