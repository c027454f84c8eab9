package manifest

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"

	"go.yaml.in/yaml/v4"
)

// projectKeys are the keys of a manifest.
var projectKeys = []string{"name", "include", "services", "environments"}

// projectLater says why other keys are not keys.
var projectLater = map[string]string{
	"version":  "remove it: a manifest has no version",
	"volumes":  "write data: {name: ./directory} in the service that owns it",
	"networks": "services reach each other on this machine: read $STEAD_<NAME>_URL",
	"secrets":  "it is not there yet: use env_file",
	"configs":  "it is not there yet: use environment or env_file",
}

// project resolves the manifest; what it returns is whole only when there are
// no errors among the findings.
func (d *document) project(req Request) *Project {
	d.gateway = req.Gateway
	root := d.model()
	if root == nil {
		return nil
	}
	file := d.parts[0].file
	p := &Project{Directory: filepath.Dir(file), File: file, Sources: map[string]string{}, Services: map[string]Service{}}
	for _, part := range d.parts {
		p.Sources[part.file] = part.text
	}
	keys := d.known(root, "the manifest", projectKeys, projectLater)
	p.Name = nameOf(p.Directory)
	if f, ok := keys["name"]; ok {
		if name, ok := d.value(f.value, "name"); ok && d.name(f.value, "a project", name) {
			p.Name = name
		}
	}
	p.ID = projectID(p.Name, p.Directory)
	var environments []environment
	if f, ok := keys["environments"]; ok {
		environments = d.environments(f.value, p.Name)
	}
	for _, e := range environments {
		p.Environments = append(p.Environments, e.Target)
	}
	if !d.atHome() {
		root = d.aim(root, environments)
		keys = d.known(root, "the manifest", projectKeys, projectLater)
		p.Target = d.target
		p.ID = p.Name // the namespace's: others may apply it from elsewhere
	}
	drafts := d.drafts(p, root, keys)
	d.relate(drafts)
	p.Order = d.order(drafts)
	if !d.failed() && d.target == nil {
		d.choosePorts(drafts, p.ID, req)
	}
	for _, s := range drafts.list {
		p.Services[s.name] = s.finish(drafts)
		d.check(s, p.Directory, req.Profiles)
	}
	return p
}

// drafts are the services while they are read.
type drafts struct {
	list   []*draft // in the order written
	byName map[string]*draft
	names  []string
}

func (d *document) drafts(p *Project, root *yaml.Node, keys map[string]field) drafts {
	all := drafts{byName: map[string]*draft{}}
	f, ok := keys["services"]
	var services []field
	if ok {
		services = d.fields(f.value, "services")
	}
	if len(services) == 0 && (!ok || isNull(f.value) || f.value.Kind == yaml.MappingNode) {
		d.wrong(root, "the least is: services: {web: {command: ./web}}", "the manifest has no services")
	}
	for _, f := range services {
		d.service = f.key.Value
		if d.name(f.key, "a service", f.key.Value) {
			s := d.draft(p, f)
			all.list = append(all.list, s)
			all.byName[s.name] = s
			all.names = append(all.names, s.name)
		}
	}
	d.service = ""
	return all
}

// finish returns the service with all that depends on others filled in.
func (s *draft) finish(all drafts) Service {
	s.service = s.name
	defer func() { s.service = "" }()
	s.resolveNeeds(all)
	s.resolvePorts()
	watch := s.watched()
	if s.target != nil {
		watch = s.watchedThere(watch)
		s.finishCluster()
	}
	build := s.buildSpec() // before the URLs: a build does not depend on where others listen
	s.addURLs(all)
	out := Service{
		Name: s.name, Plan: s.plan, Spec: s.spec, Build: build, Profiles: s.profiles, URLs: s.urls(), Origins: s.origins, Taken: s.taken,
		Published: s.published(), Watch: watch, BuildTimeout: s.build.timeout, Matchers: s.build.matchers,
	}
	if watch.Mode != WatchNone || s.target == nil && s.watch.Mode != WatchNone {
		out.EnvFiles = s.envFiles
	}
	out.Plan.Build = build != nil
	out.Plan.Revision = s.spec.Hash()
	if build != nil {
		sum := sha256.Sum256([]byte(out.Plan.Revision + build.Hash()))
		out.Plan.Revision = hex.EncodeToString(sum[:])
	}
	return out
}
