package manifest

import (
	"encoding/json"
	"path"
	"path/filepath"
	"regexp"
	goruntime "runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// What a service is in a cluster, where there is no gateway of ours, and no
// machine that pods would share with whoever calls them.

// inEnvironment says where else a service can be different.
func (s *draft) inEnvironment(what string) string {
	return "write environments: {" + s.target.Name + ": {services: {" + s.name + ": {" + what + "}}}}"
}

// settleCluster is settle for a target: it fills in what depends on several
// keys, and refuses what pods cannot do.
func (s *draft) settleCluster() {
	s.settlePorts()
	s.settleReload()
	for _, probe := range []struct {
		key string
		*runtime.Probe
	}{{"ready", s.spec.Ready}, {"live", s.spec.Live}} {
		if probe.Probe != nil && (probe.Kind == runtime.ProbeLog || probe.Kind == runtime.ProbeNotify) {
			f := s.keys[probe.key]
			if f.key == nil {
				f = s.keys["liveness"]
			}
			s.wrong(f.value, s.inEnvironment(probe.key+": GET /healthz")+", or tcp, grpc, exec",
				"%s: %s needs a process on this machine: nobody in a cluster asks that way", probe.key, probe.Kind)
		}
	}
	if s.plan.Reload == supervisor.ReloadSignal {
		s.wrong(s.keys["reload"].value, s.inEnvironment("reload: overlap"), "reload signal does not reach into a pod, whose files are those of its image")
	}
	if f, ok := s.keys["start"]; ok && s.plan.OnDemand {
		s.wrong(f.value, s.inEnvironment("start: up, idle: !reset null"), "start on-demand needs the gateway, which is not in the cluster yet")
	}
	if s.spec.Limits.PIDs > 0 {
		s.wrong(s.keys["limits"].value, s.inEnvironment("limits: {pids: !reset null}"), "limits: pids is the kubelet's own setting, and no pod can choose it")
	}
	s.plan.OnDemand, s.plan.Idle = false, 0
}

// finishCluster fills in what is known when all services are read.
func (s *draft) finishCluster() {
	s.spec.OneShot = s.plan.OneShot
	s.settlePackage()
	s.settleData()
	s.settleSecrets()
}

// firstPort is the number that callers use of a port that is left open.
const firstPort = 8080

// settlePorts has each port be one of a Service: callers use the number in the
// manifest, and the process listens where it insists on it, or at $PORT.
func (s *draft) settlePorts() {
	next, taken := firstPort, map[int]bool{}
	for _, p := range s.ports {
		taken[p.Number] = p.Number != 0
	}
	targets := map[int]string{}
	for i := range s.ports {
		p := &s.ports[i]
		switch p.mode {
		case ModeInherit:
			s.wrong(p.modeAt, s.inEnvironment("ports: {"+p.Name+": {mode: self}}"),
				"port %s: mode inherit hands over a socket of this machine: in a cluster the service listens on $PORT", p.Name)
		case ModeSelf:
			p.target, p.targetAt = p.Number, p.at
		}
		if p.auto {
			for ; taken[next]; next++ {
			}
			p.Number, p.auto, taken[next] = next, false, true
		}
		p.Published = p.Number
		if first := targets[p.target]; p.target != 0 && first != "" {
			s.wrong(p.targetAt, "give one of them another number", "port %d of %s is that of %s already", p.target, p.Name, first)
		}
		targets[p.target] = p.Name
	}
}

// settleData says where the service finds its data. What is below its own
// directory moves with that.
func (s *draft) settleData() {
	f, ok := s.keys["data"]
	if !ok {
		return
	}
	for _, one := range s.fields(f.value, "data") {
		written, ok := s.value(one.value, "data "+one.key.Value)
		if !ok {
			continue
		}
		at := path.Clean(written)
		if !path.IsAbs(written) {
			rel, err := filepath.Rel(s.spec.Dir, s.path(one.value, "data"))
			if s.spec.Package == nil || err != nil || !filepath.IsLocal(rel) {
				s.wrong(one.value, "write an absolute path, as it is in the image", "data %s: %q is not below the service's directory, and so nowhere in the cluster", one.key.Value, written)
				continue
			}
			at = path.Join(s.spec.Package.Root, filepath.ToSlash(rel))
		}
		if s.spec.Data == nil {
			s.spec.Data = map[string]string{}
		}
		s.spec.Data[one.key.Value] = at
	}
}

// settleSecrets names the variables that are for nobody to read: those of
// files, and those that look like it.
func (s *draft) settleSecrets() {
	for name, value := range s.environment {
		if s.secret[name] || s.looksSecret != nil && s.looksSecret(name, value) {
			s.spec.Secrets = append(s.spec.Secrets, name)
		}
	}
	slices.Sort(s.spec.Secrets)
}

// validKind is a kind of object.
var validKind = regexp.MustCompile(`^[A-Z][A-Za-z0-9]+$`)

// readPatch reads kubernetes: what stead has no words for, by kind of object.
func (s *draft) readPatch() {
	f, ok := s.keys["kubernetes"]
	if !ok {
		return
	}
	patch := map[string]any{}
	for _, one := range s.fields(f.value, "kubernetes") {
		if !validKind.MatchString(one.key.Value) {
			s.wrong(one.key, "write kubernetes: {Deployment: {spec: {…}}}", "%q is not a kind of object", one.key.Value)
			continue
		}
		if one.value.Kind != yaml.MappingNode {
			s.wrong(one.value, "write kubernetes: {Deployment: {spec: {…}}}", "what changes a %s must be a mapping, not %s", one.key.Value, kind(one.value))
			continue
		}
		patch[one.key.Value] = s.plain(one.value)
	}
	if s.target == nil || len(patch) == 0 {
		return
	}
	text, err := json.Marshal(patch)
	if err != nil {
		s.wrong(f.value, "", "kubernetes: %s", err)
		return
	}
	s.spec.Patch = string(text)
}

// plain is a value as JSON has it, with ${VAR} replaced; what stood for a
// number or a boolean still does after that.
func (s *draft) plain(n *yaml.Node) any {
	n = deref(n)
	switch n.Kind {
	case yaml.MappingNode:
		out := map[string]any{}
		for _, f := range s.fields(n, "kubernetes") {
			out[f.key.Value] = s.plain(f.value)
		}
		return out
	case yaml.SequenceNode:
		out := []any{}
		for _, one := range s.items(n) {
			out = append(out, s.plain(one))
		}
		return out
	}
	text, ok := s.text(n, "a value")
	if !ok || isNull(n) {
		return nil
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 || n.Tag == "!!timestamp" {
		return text
	}
	var value any
	if err := yaml.Load([]byte(text), &value); err != nil {
		return text
	}
	switch value.(type) {
	case bool, int, int64, uint64, float64, nil:
		return value
	}
	return text
}

// packed is the command of a build for the target: for its platform, or once
// for each of several, whose programs are told apart by their names.
func (s *draft) packed(command []string) []string {
	if s.spec.Package == nil || len(s.target.Platforms) < 2 || s.program == "" {
		return command
	}
	script := []string{"set -e"}
	program := filepath.Join(s.spec.Dir, s.program)
	for _, platform := range s.target.Platforms {
		var words []string
		for _, name := range []string{"CGO_ENABLED", "GOOS", "GOARCH", "GOARM"} {
			if value, ok := buildVariables(platform)[name]; ok {
				if own, declared := s.environment[name]; declared && name == "CGO_ENABLED" {
					value = own
				}
				words = append(words, name+"="+quoted(value))
			}
		}
		for _, word := range command {
			words = append(words, quoted(word))
		}
		script = append(script, strings.Join(words, " "),
			"cp -p "+quoted(program)+" "+quoted(program+"."+strings.ReplaceAll(platform, "/", "-")))
	}
	return []string{"sh", "-c", strings.Join(script, "\n")}
}

// quoted is a word that a shell takes as it is.
func quoted(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// buildEnvironment is that of a build: a single platform's variables are below
// what the service declares.
func (s *draft) buildEnvironment() map[string]string {
	if s.target == nil {
		return s.environment
	}
	platform := "linux/" + goruntime.GOARCH
	if len(s.target.Platforms) > 0 {
		platform = s.target.Platforms[0]
	}
	return under(buildVariables(platform), s.environment)
}

// watchedThere is what is watched for a target: nothing, unless the manifest
// wants saves to get there, and the service is made of files.
func (s *draft) watchedThere(w Watch) Watch {
	if !s.target.Watch || s.image.name != "" || w.Mode == WatchNone {
		return Watch{Mode: WatchNone}
	}
	if len(s.spec.Command) == 0 {
		return w
	}
	if file, ok := s.inProject(s.spec.Command[0]); ok && s.build.command != nil {
		w.Ignore = append(w.Ignore, Literally(file), Literally(file)+".linux-*") // what the build makes
	}
	return w
}
