package manifest

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// overrideName is a file beside the manifest that changes it on one machine.
const overrideName = "stead.override.yaml"

// maxParts bounds how many files one manifest is made of.
const maxParts = 200

// model returns the root mapping of the manifest with what it includes, and
// over it the override. It is nil after a finding that leaves nothing to read.
func (d *document) model() *yaml.Node {
	root := d.root()
	if root == nil {
		return nil
	}
	main := &d.parts[0]
	file, directory, scope := main.file, main.directory, main.scope
	root = d.include(root, []string{file})
	if filepath.Base(file) != FileName {
		return root // as with Compose: who names a file means that file
	}
	over := filepath.Join(directory, overrideName)
	text, err := d.read(over)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return root
	case err != nil:
		d.wrong(nil, "", "%s %s", overrideName, err)
		return root
	}
	d.open(over, directory, text, scope)
	other := d.root()
	if other == nil {
		return root
	}
	return d.mergeManifest(root, d.include(other, []string{over}))
}

// root parses the part that was opened last.
func (d *document) root() *yaml.Node {
	root := d.parse()
	if root != nil && root.Kind != yaml.MappingNode {
		d.wrong(root, "the least is: services: {web: {command: ./web}}", "a manifest is a mapping, not %s", kind(root))
		return nil
	}
	return root
}

// include adds the services of the files that a part includes. They are read
// as manifests of their own: their paths are relative to where they are, and
// their variables are those of the .env beside them, below the manifest's.
// chain is how the part was come by.
func (d *document) include(root *yaml.Node, chain []string) *yaml.Node {
	fields := d.fields(root, "the manifest")
	i := slices.IndexFunc(fields, func(f field) bool { return f.key.Value == "include" })
	if i < 0 {
		return root
	}
	list := fields[i].value
	fields = slices.Delete(fields, i, i+1)
	if list.Kind != yaml.SequenceNode {
		d.wrong(list, "write include: [other/"+FileName+"]", "include must be a list, not %s", kind(list))
		return mapping(root, fields)
	}
	var more []field
	for _, one := range d.items(list) {
		more = append(more, d.included(one, chain)...)
	}
	return d.withServices(root, fields, more)
}

// included returns the services of one entry of include.
func (d *document) included(n *yaml.Node, chain []string) []field {
	scope := d.part(n.Line).scope
	if n.Kind != yaml.MappingNode {
		path, ok := d.value(n, "include")
		if !ok {
			return nil
		}
		file := d.joined(n, path)
		return d.services(d.includeFile(n, nil, file, filepath.Dir(file), d.below(scope, nil, filepath.Dir(file)), chain))
	}
	keys := d.known(n, "include", []string{"path", "env_file", "project_directory"}, nil)
	f, ok := keys["path"]
	if !ok {
		d.wrong(n, "write {path: other/"+FileName+"}", "include has no path")
		return nil
	}
	paths, ok := d.texts(f.value, "path")
	if !ok || len(paths) == 0 {
		return nil
	}
	directory := filepath.Dir(d.joined(n, paths[0]))
	if f, ok := keys["project_directory"]; ok {
		directory = d.path(f.value, "project_directory")
	}
	var envFiles []string
	if f, ok := keys["env_file"]; ok {
		envFiles = d.envFiles(f.value)
	}
	scope = d.below(scope, envFiles, directory)
	var root *yaml.Node
	for _, path := range paths { // later ones override those before, as with Compose
		root = d.includeFile(f.value, root, d.joined(n, path), directory, scope, chain)
	}
	return d.services(root)
}

func (d *document) joined(n *yaml.Node, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(d.directory(n), path)
}

// envFiles are those that an include names, last one first, as it wins.
func (d *document) envFiles(n *yaml.Node) []string {
	var files []string
	paths, _ := d.texts(n, "env_file")
	for _, path := range paths {
		if path == "" {
			continue
		}
		file := d.joined(n, path)
		if _, err := readText(file); err != nil {
			d.wrong(n, "create it, or leave env_file out", "env_file %s %s", path, err)
			continue
		}
		files = append([]string{file}, files...)
	}
	return files
}

// below is the scope of an included file.
func (d *document) below(above *scope, envFiles []string, directory string) *scope {
	if envFiles == nil {
		envFiles = d.envFilesOf(directory)
	}
	return d.scope(above, envFiles)
}

// includeFile reads a file as a part, over what those before it in the same
// entry have.
func (d *document) includeFile(at, base *yaml.Node, file, directory string, s *scope, chain []string) *yaml.Node {
	if i := slices.Index(chain, file); i >= 0 {
		var names []string
		for _, one := range append(chain[i:len(chain):len(chain)], file) {
			names = append(names, d.relative(one))
		}
		d.wrong(at, "remove one of them", "files include each other: %s", strings.Join(names, " -> "))
		return base
	}
	if slices.ContainsFunc(d.parts, func(p part) bool { return p.file == file && p.directory == directory }) {
		return base // two included files may include a third
	}
	if len(d.parts) == maxParts {
		d.wrong(at, "", "the manifest is made of more than %d files", maxParts)
		return base
	}
	text, err := d.read(file)
	if err != nil {
		d.wrong(at, "create it, or remove it from include", "include %s %s", d.relative(file), err)
		return base
	}
	if len(d.source)+len(text) > maxFile {
		d.wrong(at, "", "the manifest and what it includes is larger than %d MB", maxFile>>20)
		return base
	}
	d.open(file, directory, text, s)
	root := d.root()
	if root == nil {
		return base
	}
	root = d.include(root, append(chain[:len(chain):len(chain)], file))
	d.known(root, "an included file", []string{"name", "services"}, map[string]string{
		"environments": "write it into the manifest that includes this one",
	})
	if base == nil {
		return root
	}
	return d.mergeManifest(base, root)
}

// services returns the entries of services.
func (d *document) services(root *yaml.Node) []field {
	if root == nil {
		return nil
	}
	for _, f := range d.fields(root, "an included file") {
		if f.key.Value == "services" {
			return d.fields(f.value, "services")
		}
	}
	return nil
}

// withServices returns a root of fields with more services.
func (d *document) withServices(root *yaml.Node, fields, more []field) *yaml.Node {
	i := slices.IndexFunc(fields, func(f field) bool { return f.key.Value == "services" })
	if i < 0 {
		key := *root
		key.Kind, key.Tag, key.Value, key.Content = yaml.ScalarNode, "!!str", "services", nil
		fields, i = append(fields, field{&key, mapping(root, nil)}), len(fields)
	} else if fields[i].value.Kind != yaml.MappingNode && !isNull(fields[i].value) {
		return mapping(root, fields) // is told of where services are read
	}
	all := d.fields(fields[i].value, "services")
	at := map[string]*yaml.Node{}
	for _, f := range all {
		at[f.key.Value] = f.key
	}
	for _, f := range more {
		if first := at[f.key.Value]; first != nil {
			d.wrong(f.key, "rename one of them; to change a service on this machine write it into "+overrideName,
				"service %q is here and at %s", f.key.Value, d.position(first))
			continue
		}
		at[f.key.Value] = f.key
		all = append(all, f)
	}
	fields[i].value = mapping(fields[i].value, all)
	return mapping(root, fields)
}

// mapping returns a mapping of fields at the place of another node, which is
// left as it is: others may refer to it.
func mapping(at *yaml.Node, fields []field) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
	for _, f := range fields {
		out.Content = append(out.Content, f.key, f.value)
	}
	return out
}
