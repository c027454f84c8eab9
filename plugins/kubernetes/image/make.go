package image

import (
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/stead-dev/stead/runtime"
)

// make makes the image of spec for all platforms.
func (p *Packer) make(ctx context.Context, spec runtime.Spec) (*product, error) {
	platforms, err := p.platforms(ctx, spec)
	if err != nil {
		return nil, err
	}
	t, err := gather(spec)
	if err != nil {
		return nil, err
	}
	defer t.close()
	var programs []*program // by platform: each refusal comes before anything slow
	for _, platform := range platforms {
		prog, err := findProgram(t, spec, platform)
		if err != nil {
			return nil, err
		}
		programs = append(programs, prog)
	}
	for _, prog := range programs {
		if prog != nil {
			t.remove(prog.file)
		}
	}
	m := &product{id: spec.ID, base: spec.Package.Base}
	for i, platform := range platforms {
		img, err := p.makeOne(ctx, t, spec, platform, programs[i])
		if err != nil {
			return nil, err
		}
		m.images = append(m.images, img)
	}
	return m, m.join()
}

// platforms returns what to pack for, each once and in order, so that the same
// list in another order is the same image.
func (p *Packer) platforms(ctx context.Context, spec runtime.Spec) ([]v1.Platform, error) {
	if spec.Package == nil {
		return nil, fmt.Errorf("the spec has no package: %w", runtime.Invalid)
	}
	names := spec.Package.Platforms
	if len(names) == 0 {
		var err error
		if names, err = p.o.Platforms(ctx); err != nil {
			return nil, fmt.Errorf("ask for the platforms of the cluster's machines: %w", err)
		}
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	var platforms []v1.Platform
	for _, name := range names {
		platform, err := v1.ParsePlatform(name)
		if err != nil || platform.OS == "" || platform.Architecture == "" || platform.OSVersion != "" || strings.ContainsAny(name, " \\") {
			return nil, runtime.WithHint(fmt.Errorf("platform %q: %w", name, runtime.Invalid), "write it like linux/amd64")
		}
		if platform.OS != "linux" {
			return nil, fmt.Errorf("platform %q: only images for linux are made: %w", name, runtime.Unsupported)
		}
		platforms = append(platforms, *platform)
	}
	if len(platforms) == 0 {
		return nil, fmt.Errorf("no platform to pack for: %w", runtime.Invalid)
	}
	return platforms, nil
}

// gather finds what belongs to the image.
func gather(spec runtime.Spec) (*tree, error) {
	if root := spec.Package.Root; !path.IsAbs(root) || path.Clean(root) != root {
		return nil, fmt.Errorf("the directory %q for files in the image is not a plain absolute path: %w", root, runtime.Invalid)
	}
	file, err := programFile(spec)
	if err != nil {
		return nil, err
	}
	t, err := openTree(spec.Dir)
	if err != nil {
		return nil, err
	}
	t.program = file
	if err := t.gather(spec.Package.Files); err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

func (t *tree) gather(files []string) error {
	for _, name := range files {
		if err := t.add(name); err != nil {
			return err
		}
	}
	if t.program == "" {
		return t.checkLinks()
	}
	if _, err := t.root.Lstat(t.program); err == nil {
		if err := t.add(t.program); err != nil { // whether anybody has named it or not
			return err
		}
	}
	return t.checkLinks()
}

// makeOne puts base and layers together.
func (p *Packer) makeOne(ctx context.Context, t *tree, spec runtime.Spec, platform v1.Platform, prog *program) (platformImage, error) {
	out := platformImage{platform: platform}
	img, err := p.foundation(ctx, spec.Package.Base, platform, &out)
	if err != nil {
		return out, err
	}
	pkg := spec.Package
	if files := placed(pkg, t.found); len(files) > 0 {
		if img, err = p.stack(ctx, img, &out, "files", newContents(t.root, p.epoch, files)); err != nil {
			return out, err
		}
	}
	if prog != nil {
		alone := map[string]entry{prog.file: prog.entry}
		for _, dir := range above(prog.file) {
			alone[dir] = entry{mode: fs.ModeDir | 0o755}
		}
		if img, err = p.stack(ctx, img, &out, "executable", newContents(t.root, p.epoch, placed(pkg, alone))); err != nil {
			return out, err
		}
	}
	if out.Image, err = p.configure(img, spec, &out, prog); err != nil {
		return out, err
	}
	out.digest, err = out.Image.Digest()
	return out, err
}

// placed returns the entries as they are named in the image, with the
// directories in which they are. What is above Root is the base's where there
// is one, and so are directories that every system has: an entry would change
// their modes.
func placed(pkg *runtime.Package, found map[string]entry) []entry {
	all := map[string]entry{}
	root := strings.TrimPrefix(pkg.Root, "/")
	if pkg.Base == "" && root != "" {
		for _, dir := range append(above(root), root) {
			all[dir] = entry{mode: fs.ModeDir | 0o755}
		}
	}
	for rel, e := range found {
		all[path.Join(root, rel)] = e
	}
	if len(found) == 0 {
		return nil
	}
	for dir := range scratchDirectories() {
		if e, ok := all[dir]; ok && e.mode.IsDir() {
			delete(all, dir)
		}
	}
	entries := make([]entry, 0, len(all))
	for name, e := range all {
		e.name = name
		entries = append(entries, e)
	}
	return entries
}

// foundation returns the base image.
func (p *Packer) foundation(ctx context.Context, base string, platform v1.Platform, out *platformImage) (v1.Image, error) {
	if base == "" {
		img := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
		return p.stack(ctx, img, out, "base", newContents(nil, p.epoch, scratch(p.certs)))
	}
	found, err := p.bases.find(ctx, base, platform, p.remote)
	if err != nil {
		return nil, err
	}
	out.baseDigest = found.digest.String()
	layers, err := found.Layers()
	if err != nil {
		return nil, fmt.Errorf("read base image %s: %w", base, err)
	}
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return nil, fmt.Errorf("read base image %s: %w", base, err)
		}
		size, err := l.Size()
		if err != nil {
			return nil, fmt.Errorf("read base image %s: %w", base, err)
		}
		out.layers = append(out.layers, LayerSummary{What: "base", Digest: digest.String(), Size: size})
	}
	return found.Image, nil
}

// stack puts a layer on img.
func (p *Packer) stack(ctx context.Context, img v1.Image, out *platformImage, what string, from contents) (v1.Image, error) {
	manifest, err := img.MediaType()
	if err != nil {
		return nil, err
	}
	b, err := p.cache.layer(ctx, from, p.packing.within(manifest), p.begin)
	if err != nil {
		return nil, err
	}
	out.layers = append(out.layers, LayerSummary{What: what, Digest: b.digest.String(), Size: b.size})
	media := b.packing.media(manifest)
	return mutate.Append(img, mutate.Addendum{
		Layer: layer{b, media}, MediaType: media,
		History: v1.History{Created: v1.Time{Time: p.epoch}, CreatedBy: "stead: " + what},
	})
}

// join makes an index where there are several platforms.
func (m *product) join() error {
	if len(m.images) == 1 {
		m.whole, m.digest = m.images[0].Image, m.images[0].digest
		return nil
	}
	var all v1.ImageIndex = mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, img := range m.images {
		all = mutate.AppendManifests(all, mutate.IndexAddendum{Add: img.Image, Descriptor: v1.Descriptor{Platform: &img.platform}})
	}
	digest, err := all.Digest()
	m.whole, m.digest = all, digest
	return err
}
