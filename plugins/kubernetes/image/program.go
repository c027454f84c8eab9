package image

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stead-dev/stead/runtime"
)

// Command returns the argv of spec as it is in the image of its Package: what
// is named by a path in Dir has an absolute one below Root.
func Command(spec runtime.Spec) ([]string, error) {
	if len(spec.Command) == 0 {
		return nil, nil
	}
	file, err := programFile(spec)
	if err != nil || file == "" {
		return spec.Command, err
	}
	return append([]string{path.Join(spec.Package.Root, file)}, spec.Command[1:]...), nil
}

// programFile returns which file of Dir the command runs, or "" when that is
// one of the base.
func programFile(spec runtime.Spec) (string, error) {
	name := ""
	if len(spec.Command) > 0 {
		name = spec.Command[0]
	}
	if filepath.IsAbs(name) {
		if rel, err := filepath.Rel(spec.Dir, name); err == nil && filepath.IsLocal(rel) {
			return localName(rel)
		}
	} else if strings.Contains(name, "/") {
		return localName(name)
	}
	if spec.Package.Base == "" {
		return "", runtime.WithHint(fmt.Errorf("the image has no program %q: it is not a file of the service's directory, and there is no base image: %w", name, runtime.Invalid),
			"name a base image that has it, or a file like ./bin/api as the command")
	}
	return "", nil
}

// program is the executable of one platform.
type program struct {
	file  string // what it is called in the image, relative to Root
	entry entry
	bill  *bill // what it is made of; nil when it does not say
}

// findProgram takes the executable of platform out of t. It returns nil when
// there is none here, but, as far as anybody can tell, in the base.
func findProgram(t *tree, spec runtime.Spec, platform v1.Platform) (*program, error) {
	file, err := programFile(spec)
	if err != nil || file == "" {
		return nil, err
	}
	if at, ok := t.resolve(file); ok {
		file = at
	}
	source, info, err := chooseVariant(t, file, platform)
	if errors.Is(err, fs.ErrNotExist) && spec.Package.Base != "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &program{file: file, entry: entry{mode: 0o755, source: source, info: info}}
	if err := p.check(t, spec.Package.Base != "", platform); err != nil {
		return nil, err
	}
	p.bill = readBill(t, source)
	return p, nil
}

// chooseVariant returns FILE.OS-ARCH when there is one, else FILE.
func chooseVariant(t *tree, file string, platform v1.Platform) (string, fs.FileInfo, error) {
	names := []string{variant(file, platform), file}
	for _, name := range names {
		info, err := t.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", nil, fmt.Errorf("look at %s: %w: %w", name, err, runtime.Invalid)
		}
		if !info.Mode().IsRegular() {
			return "", nil, fmt.Errorf("the command's program %s is no regular file: %w", name, runtime.Invalid)
		}
		if info.Mode()&0o111 == 0 {
			return "", nil, runtime.WithHint(fmt.Errorf("%s may not be executed: %w", name, runtime.Invalid), "chmod +x "+name)
		}
		return name, info, nil
	}
	return "", nil, runtime.WithHint(fmt.Errorf("the command's program is not there, neither as %s nor as %s in %s: %w: %w",
		names[1], names[0], t.root.Name(), fs.ErrNotExist, runtime.Invalid), "build it first: "+buildHint(platform))
}

// variant returns the name of the file that takes file's place on platform.
func variant(file string, platform v1.Platform) string {
	return file + "." + strings.ReplaceAll(platform.String(), "/", "-")
}

// buildHint is how a Go program becomes what an image can run.
func buildHint(p v1.Platform) string {
	return fmt.Sprintf("CGO_ENABLED=0 GOOS=%s GOARCH=%s go build …", p.OS, p.Architecture)
}
