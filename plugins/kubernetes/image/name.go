package image

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/stead-dev/stead/runtime"
)

// Name returns what Pack would return for spec, as its files are now, and
// delivers nothing. Layers are made, and kept for the next Pack.
//
// No registry is asked: a base is what its tag meant when that was asked last,
// so a tag that has moved since gives Pack another reference; a base that is
// not in the cache is NotFound. Options.Platforms is asked, as by Pack.
func (p *Packer) Name(ctx context.Context, spec runtime.Spec) (string, error) {
	defer p.cache.hold()()
	here := *p
	here.bases = p.bases.kept()
	made, err := here.make(ctx, spec)
	if err != nil {
		return "", fmt.Errorf("name the image of %s: %w", spec.ID.Label(), err)
	}
	return p.reference(made)
}

// reference is by what name the cluster finds an image once it is delivered.
func (p *Packer) reference(m *product) (string, error) {
	switch {
	case p.o.Registry != "":
		repo, err := p.repository(m.id)
		if err != nil {
			return "", err
		}
		return repo.Digest(m.digest.String()).Name(), nil
	case p.containerd != nil, len(p.o.Load) > 0:
		return m.loaded(), nil
	}
	return "", nowhere()
}

// nowhere is what becomes of images when there is no destination.
func nowhere() error {
	return runtime.WithHint(fmt.Errorf("images: nobody says where they go to: %w", runtime.Invalid),
		"give the runtime --registry PREFIX to push them, or --load unix:///run/containerd/containerd.sock for a cluster of one machine")
}

// loaded is the reference of an image that no registry has.
func (m *product) loaded() string { return loadedPrefix + repository(m.id) + "@" + m.digest.String() }

// repository is where the images of a service are pushed to.
func (p *Packer) repository(id runtime.ID) (name.Repository, error) {
	var options []name.Option
	if p.plain != "" {
		options = append(options, name.Insecure)
	}
	repo, err := name.NewRepository(strings.TrimSuffix(p.o.Registry, "/")+"/"+repository(id), options...)
	if err != nil {
		return repo, runtime.WithHint(fmt.Errorf("registry %q: %w: %w", p.o.Registry, err, runtime.Invalid), "write it like registry.example.dev/team")
	}
	return repo, nil
}
