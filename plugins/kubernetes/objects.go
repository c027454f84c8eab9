package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	metaac "k8s.io/client-go/applyconfigurations/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// object is one to be applied: complete, but for what the cluster says.
type object struct {
	kind, name string
	fields     map[string]any // as JSON has them
}

// objects are all of a generation in the order of their writing: what pods
// cannot do without comes first, but for that which the generation owns. The
// Service is not among them: Route makes it.
func (p *plan) objects() ([]object, error) {
	made := []made{one("ServiceAccount", p.serviceAccount())}
	for _, name := range slices.Sorted(maps.Keys(p.spec.Data)) {
		made = append(made, one("PersistentVolumeClaim", p.claim(name)))
	}
	if p.spec.Replicas > 1 && !p.job {
		made = append(made, one("PodDisruptionBudget", p.disruptionBudget()))
	}
	if p.job {
		made = append(made, one("Job", p.jobObject()))
	} else {
		made = append(made, one("Deployment", p.deployment()))
	}
	if config := p.config(); config != nil {
		made = append(made, one("ConfigMap", config))
	}
	if secret := p.secret(); secret != nil {
		made = append(made, one("Secret", secret))
	}
	patches, err := parsePatch(p.spec.Patch)
	if err != nil {
		return nil, err
	}
	if err := patches.check(p); err != nil {
		return nil, err
	}
	objects := make([]object, 0, len(made))
	for _, m := range made {
		o, err := m.finish(patches)
		if err != nil {
			return nil, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

// made is an apply configuration of a kind.
type made struct {
	kind          string
	configuration any
}

func one(kind string, configuration any) made { return made{kind, configuration} }

// finish puts the user's patch on top. Name and labels stay ours, whatever it
// says; a digest of everything tells later whether there is something to write.
func (m made) finish(patches patches) (object, error) {
	text, err := json.Marshal(m.configuration)
	if err != nil {
		return object{}, fmt.Errorf("%s: %w: %w", m.kind, err, runtime.Internal)
	}
	before := object{kind: m.kind}
	if err := json.Unmarshal(text, &before.fields); err != nil {
		return object{}, fmt.Errorf("%s: %w: %w", m.kind, err, runtime.Internal)
	}
	o := before
	if before.ofGeneration() {
		if text, err = patches.inTemplate(m.kind).apply(m.kind, text); err != nil {
			return object{}, err
		}
	}
	if text, err = patches.apply(m.kind, text); err != nil {
		return object{}, err
	}
	o.fields = nil
	if err := json.Unmarshal(text, &o.fields); err != nil {
		return object{}, fmt.Errorf("%s: %w: %w", m.kind, err, runtime.Internal)
	}
	o.keepIdentity(before)
	delete(o.meta(), "namespace") // empty: that is said by where it is applied
	o.name, _ = o.meta()["name"].(string)
	o.annotate(annotationApplied, o.digest())
	return o, nil
}

func (o object) meta() map[string]any {
	meta, ok := o.fields["metadata"].(map[string]any)
	if !ok {
		meta = map[string]any{}
		o.fields["metadata"] = meta
	}
	return meta
}

func (o object) annotate(key, value string) {
	annotations, ok := o.meta()["annotations"].(map[string]any)
	if !ok {
		annotations = map[string]any{}
		o.meta()["annotations"] = annotations
	}
	annotations[key] = value
}

func (o object) annotation(key string) string {
	annotations, _ := o.meta()["annotations"].(map[string]any)
	value, _ := annotations[key].(string)
	return value
}

// keepIdentity takes back what a patch must not change.
func (o object) keepIdentity(before object) {
	meta, was := o.meta(), before.meta()
	meta["name"] = was["name"]
	labels, ok := meta["labels"].(map[string]any)
	if !ok {
		labels = map[string]any{}
		meta["labels"] = labels
	}
	ours, _ := was["labels"].(map[string]any)
	maps.Copy(labels, ours)
}

func (o object) digest() string {
	text, _ := json.Marshal(o.fields) // came from JSON
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:12])
}

func (o object) json() []byte {
	text, _ := json.Marshal(o.fields) // came from JSON
	return text
}

// ofGeneration reports whether it is the Deployment or Job itself.
func (o object) ofGeneration() bool { return o.kind == "Deployment" || o.kind == "Job" }

// owned reports whether the generation's object is to be its owner: the
// cluster removes it with the last of those.
func (o object) owned() bool { return o.kind == "ConfigMap" || o.kind == "Secret" }

func ownerReference(kind, name, uid string) map[string]any {
	version := "apps/v1"
	if kind == "Job" {
		version = "batch/v1"
	}
	return map[string]any{"apiVersion": version, "kind": kind, "name": name, "uid": uid}
}

func selector(labels map[string]string) *metaac.LabelSelectorApplyConfiguration {
	return metaac.LabelSelector().WithMatchLabels(labels)
}
