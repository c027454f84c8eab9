package image

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/stead-dev/stead/runtime"
)

// defaultPath is for images that do not set it, as Docker has it.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// configure says how the image runs. Environment is not in it: it is the
// environment's that the image runs in, and may be secret.
func (p *Packer) configure(img v1.Image, spec runtime.Spec, out *platformImage, prog *program) (v1.Image, error) {
	old, err := img.ConfigFile()
	if err != nil {
		return nil, fmt.Errorf("read the configuration of the base: %w", err)
	}
	cfg := old.DeepCopy()
	cfg.OS, cfg.Architecture, cfg.Variant = out.platform.OS, out.platform.Architecture, out.platform.Variant
	cfg.Created = v1.Time{Time: p.epoch}
	argv, err := Command(spec)
	if err != nil {
		return nil, err
	}
	if len(argv) > 0 {
		cfg.Config.Entrypoint, cfg.Config.Cmd = argv[:1], argv[1:]
		cfg.Config.StopSignal = "" // the base's was for the base's program
	}
	cfg.Config.WorkingDir = spec.Package.Root
	if !numericUser(cfg.Config.User) {
		cfg.Config.User = user
	}
	if !slices.ContainsFunc(cfg.Config.Env, func(v string) bool { return strings.HasPrefix(v, "PATH=") }) {
		cfg.Config.Env = append(cfg.Config.Env, defaultPath)
	}
	if name := strings.TrimPrefix(spec.Stop.Signal, "SIG"); name != "" && name != "TERM" {
		cfg.Config.StopSignal = "SIG" + name
	}
	cfg.Config.Labels = labels(cfg.Config.Labels, spec, out, prog)
	if prog != nil && prog.bill != nil {
		out.components = prog.bill.components
	}
	return mutate.ConfigFile(img, cfg)
}

// numericUser reports whether a base has a user that is not root, in the one
// form that Kubernetes believes.
func numericUser(name string) bool {
	uid, _, _ := strings.Cut(name, ":")
	return strings.Trim(uid, "0123456789") == "" && strings.Trim(uid, "0") != ""
}

// annotation begins the labels that the OCI image specification has words for
// (annotations.md).
const annotation = "org.opencontainers.image."

func labels(base map[string]string, spec runtime.Spec, out *platformImage, prog *program) map[string]string {
	all := maps.Clone(base)
	maps.DeleteFunc(all, func(key, _ string) bool { return strings.HasPrefix(key, annotation) || key == LabelSBOM }) // they are the base's
	if all == nil {
		all = map[string]string{}
	}
	set := func(key, value string) {
		if value != "" {
			all[key] = value
		}
	}
	set(annotation+"title", spec.ID.Service)
	set(annotation+"base.name", spec.Package.Base)
	set(annotation+"base.digest", out.baseDigest)
	if prog != nil && prog.bill != nil {
		set(annotation+"version", prog.bill.version)
		set(annotation+"revision", prog.bill.revision)
		set(LabelSBOM, prog.bill.label)
	}
	return all
}
