package manifest

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// A Target is an environment of the manifest besides the one at home: where
// services are to run, and how they get there.
type Target struct {
	Name       string
	Runtime    string   // "kubernetes"
	Kubeconfig string   // absolute; empty: what KUBECONFIG names, else the usual place
	Context    string   // of the kubeconfig; empty: its current one
	Namespace  string   // a DNS label
	Registry   string   // where images are pushed to; empty: nowhere
	Load       string   // in the stead of Registry, for a cluster of one machine: its containerd's socket (unix:///…), or how ctr is called for it
	Platforms  []string // "linux/arm64"; empty: linux on this machine's architecture
	Watch      bool     // saves reload what runs there
}

// RuntimeKubernetes is the one runtime that an environment can have now.
const RuntimeKubernetes = "kubernetes"

var targetKeys = []string{
	"context", "env_file", "environment", "kubeconfig", "load", "namespace", "platforms", "registry", "runtime", "services", "watch",
}

// targetLater says why other keys are not keys.
var targetLater = map[string]string{
	"address": "it is not there yet: write context, and kubeconfig where it is not the usual one",
	"cluster": "write context: a name that `kubectl config get-contexts` shows",
	"config":  "write kubeconfig",
	"images":  "write registry",
	"project": "write namespace",
}

// validLabel is RFC 1123's label, as namespaces are.
var validLabel = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

var validPlatform = regexp.MustCompile(`^linux/[a-z0-9]+(/v[0-9]+)?$`)

// environment is one entry of environments, as written.
type environment struct {
	Target
	at   *yaml.Node // its name
	keys map[string]field
}

// environments reads those of the manifest, in the order written. What they
// say of services is read where one of them is the target.
func (d *document) environments(n *yaml.Node, project string) []environment {
	var all []environment
	for _, f := range d.fields(n, "environments") {
		if !d.name(f.key, "an environment", f.key.Value) {
			continue
		}
		if f.key.Value == local {
			d.wrong(f.key, "choose another name", "the environment %q is always there and needs no entry", local)
			continue
		}
		all = append(all, d.environment(f, project))
	}
	return all
}

func (d *document) environment(f field, project string) environment {
	e := environment{Target: Target{Name: f.key.Value, Runtime: RuntimeKubernetes, Namespace: label(project)}, at: f.key}
	e.keys = d.known(f.value, "an environment", targetKeys, targetLater)
	if f, ok := e.keys["runtime"]; ok {
		if text, ok := d.value(f.value, "runtime"); ok && text != RuntimeKubernetes {
			d.wrong(f.value, suggest(text, []string{RuntimeKubernetes}), "runtime %q is not known", text)
		}
	}
	for key, into := range map[string]*string{"context": &e.Context, "registry": &e.Registry, "load": &e.Load} {
		if f, ok := e.keys[key]; ok {
			*into, _ = d.value(f.value, key)
		}
	}
	if f, ok := e.keys["load"]; ok {
		d.socket(f.value, e.Load)
	}
	if f, ok := e.keys["kubeconfig"]; ok {
		e.Kubeconfig = d.path(f.value, "kubeconfig")
		if strings.HasPrefix(f.value.Value, "~") {
			d.wrong(f.value, "write ${HOME}"+f.value.Value[1:], "kubeconfig: ~ is a home directory only to a shell")
		}
	}
	if f, ok := e.keys["namespace"]; ok {
		if text, ok := d.value(f.value, "namespace"); ok && !validLabel.MatchString(text) {
			d.wrong(f.value, "use a-z, 0-9 and - in between, at most 63", "%q is not a valid name for a namespace", text)
		} else if ok {
			e.Namespace = text
		}
	}
	if f, ok := e.keys["watch"]; ok {
		e.Watch = d.boolean(f)
	}
	if f, ok := e.keys["platforms"]; ok {
		e.Platforms = d.platforms(f.value)
	}
	if f, ok := e.keys["services"]; ok {
		d.fields(f.value, "services")
	}
	return e
}

// socket refuses what is meant to be the address of a containerd, and is not.
func (d *document) socket(n *yaml.Node, load string) {
	path, scheme := strings.CutPrefix(load, "unix:")
	switch {
	case scheme && !strings.HasPrefix(path, "///"):
		d.wrong(n, "write it like unix:///run/containerd/containerd.sock", "load %q is not the address of a socket", load)
	case strings.HasPrefix(load, "/") && strings.HasSuffix(load, ".sock"):
		d.wrong(n, "write unix://"+load, "load %q is not a command", load)
	}
}

func (d *document) platforms(n *yaml.Node) []string {
	platforms, _ := d.texts(n, "platforms")
	for _, one := range platforms {
		if one != "" && !validPlatform.MatchString(one) {
			d.wrong(n, "write it like linux/amd64, linux/arm64", "platform %q is not known", one)
		}
	}
	return platforms
}

// where is the name of the environment that services are read for.
func (d *document) where() string { return d.aimed }

// atHome reports whether that is this machine.
func (d *document) atHome() bool { return d.aimed == local }

// label makes a DNS label of a name.
func label(name string) string {
	text := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' {
			return '-'
		}
		return r
	}, name)
	return strings.Trim(text, "-")
}

// aim makes one of the environments the target: what it says of services, and
// of their environment, is merged into root by the rules of an override.
func (d *document) aim(root *yaml.Node, all []environment) *yaml.Node {
	name := d.aimed
	i := slices.IndexFunc(all, func(e environment) bool { return e.Name == name })
	if i < 0 {
		known := []string{}
		for _, e := range all {
			known = append(known, e.Name)
		}
		hint := "write environments: {" + name + ": {context: …}} into " + FileName
		if near := suggest(name, known); len(known) > 0 && near != "" {
			hint = near
		}
		d.wrong(nil, hint, "the manifest has no environment %q", name)
		return root
	}
	e := all[i]
	d.target = &e.Target
	fields := d.fields(root, "the manifest")
	for i, f := range fields {
		if f.key.Value == "services" && f.value.Kind == yaml.MappingNode {
			fields[i].value = d.overridden(f.value, e)
		}
	}
	return mapping(root, fields)
}

// overridden are the services with what an environment says of all, and then
// of each of them.
func (d *document) overridden(services *yaml.Node, e environment) *yaml.Node {
	var common []field
	for _, key := range []string{"environment", "env_file"} {
		if f, ok := e.keys[key]; ok && !isNull(f.value) {
			common = append(common, f)
		}
	}
	all := d.fields(services, "services")
	if len(common) > 0 {
		for i, f := range all {
			all[i].value = d.mergeService(f.value, mapping(f.value, common))
		}
	}
	over, ok := e.keys["services"]
	if !ok || over.value.Kind != yaml.MappingNode {
		return mapping(services, all)
	}
	return d.mergeMaps(mapping(services, all), over.value, func(_ string, a, b *yaml.Node) *yaml.Node {
		return d.mergeService(d.without(a, b), b)
	})
}

// without leaves out of a service what an image of its own makes pointless:
// how it is built and started on this machine.
func (d *document) without(base, over *yaml.Node) *yaml.Node {
	if base.Kind != yaml.MappingNode || over.Kind != yaml.MappingNode {
		return base
	}
	keys := map[string]*yaml.Node{}
	for _, f := range d.fields(over, "an override") {
		keys[f.key.Value] = f.value
	}
	if image := keys["image"]; image == nil || image.Kind != yaml.ScalarNode {
		return base
	}
	home := map[string]bool{"build": true, "image": true, "command": keys["command"] == nil, "shell": keys["command"] == nil, "working_dir": true}
	return mapping(base, slices.DeleteFunc(d.fields(base, "a service"), func(f field) bool { return home[f.key.Value] }))
}

// Variables of the build, by what it is to be for.
func buildVariables(platform string) map[string]string {
	system, rest, _ := strings.Cut(platform, "/")
	arch, variant, _ := strings.Cut(rest, "/")
	out := map[string]string{"CGO_ENABLED": "0", "GOOS": system, "GOARCH": arch}
	if arch == "arm" && variant != "" {
		out["GOARM"] = strings.TrimPrefix(variant, "v")
	}
	return out
}

// under returns a set of variables with others over them.
func under(base, over map[string]string) map[string]string {
	out := maps.Clone(base)
	maps.Copy(out, over)
	return out
}
