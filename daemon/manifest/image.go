package manifest

import (
	"path"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
)

// defaultRoot is where a packaged service finds itself.
const defaultRoot = "/app"

// image is what the manifest says of an image.
type image struct {
	name  string // as a registry knows it; empty: the service is packaged
	base  string
	files []file
	root  string
	at    field
}

// file is something to be packaged, besides the program.
type file struct {
	path string // absolute
	at   *yaml.Node
}

var imageKeys = []string{"base", "files", "root"}

// imageLater says why other keys are not keys.
var imageLater = map[string]string{
	"name":      "write image: and the name, for an image that is there already",
	"context":   "write files: what belongs into the image besides the program",
	"from":      "write base",
	"platforms": "write it in the environment",
	"workdir":   "write root",
}

// readImage reads image: a name, or what is packed upon what.
func (s *draft) readImage() {
	f, ok := s.keys["image"]
	if !ok {
		return
	}
	s.image.at = f
	if f.value.Kind != yaml.MappingNode {
		s.image.name, _ = s.value(f.value, "image")
	} else {
		s.readPackage(f.value)
	}
	if s.target == nil && s.keys["command"].key != nil && s.image.name != "" {
		s.warn(f.key, "", "image is not used here: the command runs on this machine")
	}
}

func (s *draft) readPackage(n *yaml.Node) {
	keys := s.known(n, "image", imageKeys, imageLater)
	if f, ok := keys["base"]; ok {
		s.image.base, _ = s.value(f.value, "base")
	}
	if f, ok := keys["root"]; ok {
		root, ok := s.value(f.value, "root")
		if ok && (!path.IsAbs(root) || path.Clean(root) == "/") {
			s.wrong(f.value, "write it like "+defaultRoot, "root must be an absolute path in the image, below /, not %q", root)
		} else if ok {
			s.image.root = path.Clean(root)
		}
	}
	if f, ok := keys["files"]; ok {
		nodes := []*yaml.Node{f.value}
		if f.value.Kind == yaml.SequenceNode {
			nodes = s.items(f.value)
		}
		for _, one := range nodes {
			s.image.files = append(s.image.files, file{s.path(one, "files"), one})
		}
	}
}

// settlePackage decides what the service is run from: the image that is named,
// or one that is made of its program and files. What is not in it cannot run.
func (s *draft) settlePackage() {
	if s.image.name != "" {
		s.spec.Image, s.spec.Snapshot, s.build = s.image.name, false, build{}
		s.spec.Dir = s.workingDirectory()
		return
	}
	s.spec.Snapshot = false
	p := &runtime.Package{Base: s.image.base, Root: s.image.root, Platforms: s.target.Platforms}
	if p.Root == "" {
		p.Root = defaultRoot
	}
	s.spec.Package = p
	if len(s.spec.Command) == 0 {
		return // has been told
	}
	for _, f := range s.image.files {
		s.pack(f.path, f.at, "it")
	}
	program := s.spec.Command[0]
	at := s.keys["command"].value
	switch {
	case strings.Contains(program, "/"):
		s.program = s.inside(program)
		if s.program == "" && p.Base == "" {
			s.wrong(at, "write image: {base: …}, an image that has it, or image: and the name of one that is complete",
				"%s is not below %s, so it is not in the image", program, s.relative(s.spec.Dir))
		} else if s.program != "" {
			s.pack(filepath.Join(s.spec.Dir, s.program), at, "the program")
		}
	case p.Base == "":
		s.wrong(at, "write image: {base: …, files: […]}: an image that has "+program+", and what of this directory belongs upon it",
			"%s is looked for in a PATH, and nothing says which image has it", program)
	}
	for _, probe := range []*runtime.Probe{s.spec.Ready, s.spec.Live} {
		if probe != nil && len(probe.Command) > 0 && s.inside(probe.Command[0]) != "" {
			s.pack(filepath.Join(s.spec.Dir, s.inside(probe.Command[0])), at, "its check")
			probe.Command = s.moved(probe.Command)
		}
	}
	s.spec.Command = s.moved(s.spec.Command)
	if s.program != "" {
		s.spec.Command[0] = "./" + filepath.ToSlash(s.program) // the runtime knows where that is in the image
	}
}

// workingDirectory is where a named image runs: as it is written, as that is
// a path in there; empty: where the image says.
func (s *draft) workingDirectory() string {
	f, ok := s.keys["working_dir"]
	if !ok {
		return ""
	}
	text, ok := s.value(f.value, "working_dir")
	if ok && !path.IsAbs(text) {
		s.wrong(f.value, "write an absolute path, or leave it out", "working_dir %q is in the image, and relative to nothing there", text)
		return ""
	}
	return text
}

// inside returns a path with a slash in it relative to the service's
// directory, "" when it is not below.
func (s *draft) inside(name string) string {
	if !strings.Contains(name, "/") {
		return ""
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(s.spec.Dir, name)
	}
	rel, err := filepath.Rel(s.spec.Dir, name)
	if err != nil || !filepath.IsLocal(rel) || rel == "." {
		return ""
	}
	return rel
}

// pack adds a file or directory to the package.
func (s *draft) pack(name string, at *yaml.Node, what string) {
	rel, err := filepath.Rel(s.spec.Dir, name)
	if err != nil || !filepath.IsLocal(rel) {
		s.wrong(at, "leave working_dir out, or put it below", "%s (%s) is not below %s, which is what is packed", what, s.relative(name), s.relative(s.spec.Dir))
		return
	}
	if rel = filepath.ToSlash(rel); !slices.Contains(s.spec.Package.Files, rel) {
		s.spec.Package.Files = append(s.spec.Package.Files, rel)
	}
}

// moved are words with paths of the service's directory as they are in the
// image.
func (s *draft) moved(words []string) []string {
	words = slices.Clone(words)
	for i, word := range words {
		if rest, ok := strings.CutPrefix(word, s.spec.Dir); ok && (rest == "" || rest[0] == '/') {
			words[i] = s.spec.Package.Root + rest
		}
	}
	return words
}
