package kubernetes

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	kjson "sigs.k8s.io/json"

	"github.com/stead-dev/stead/runtime"
)

// patches are Spec.Patch by kind. "Pod" is for the pods of either a Deployment
// or a Job, and is patched before those.
type patches map[string]json.RawMessage

// kinds are those that stead makes, each with an empty one.
func kinds() map[string]any {
	return map[string]any{
		"Pod": &corev1.PodTemplateSpec{}, "Deployment": &appsv1.Deployment{}, "Job": &batchv1.Job{}, "Service": &corev1.Service{},
		"ConfigMap": &corev1.ConfigMap{}, "Secret": &corev1.Secret{}, "ServiceAccount": &corev1.ServiceAccount{},
		"PersistentVolumeClaim": &corev1.PersistentVolumeClaim{}, "PodDisruptionBudget": &policyv1.PodDisruptionBudget{},
	}
}

func parsePatch(text string) (patches, error) {
	if text == "" {
		return nil, nil
	}
	var p patches
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		return nil, fmt.Errorf("kubernetes: %w: %w", err, runtime.Invalid)
	}
	return p, nil
}

// check refuses a kind that stead does not make of this service, and keys that
// its kind does not have.
func (p patches) check(of *plan) error {
	all := kinds()
	for _, kind := range slices.Sorted(maps.Keys(p)) {
		empty := all[kind]
		switch {
		case empty == nil:
			return refuse(runtime.Invalid, "it has patches of "+strings.Join(slices.Sorted(maps.Keys(all)), ", "), "kubernetes: unknown kind %q", kind)
		case kind == "Job" && !of.job, kind == "Deployment" && of.job:
			return refuse(runtime.Invalid, "patch the "+of.kind(), "kubernetes: it is a %s, and has no %s to patch", of.kind(), kind)
		}
		strict, err := kjson.UnmarshalStrict(p[kind], empty)
		if err != nil {
			return fmt.Errorf("kubernetes: %s: %w: %w", kind, err, runtime.Invalid)
		}
		for _, one := range strict {
			if !strings.Contains(one.Error(), "$") { // a directive of the patch itself
				return refuse(runtime.Invalid, "kubectl explain "+strings.ToLower(kind)+" says which there are", "kubernetes: %s: %v", kind, one)
			}
		}
	}
	return nil
}

// apply returns the text of an object of a kind with its patch on top.
func (p patches) apply(kind string, text []byte) ([]byte, error) {
	if len(p[kind]) == 0 {
		return text, nil
	}
	patched, err := strategicpatch.StrategicMergePatch(text, p[kind], kinds()[kind])
	if err != nil {
		return nil, fmt.Errorf("kubernetes: %s: %w: %w", kind, err, runtime.Invalid)
	}
	return patched, nil
}

// inTemplate returns p with the patch of pods as one of kind.
func (p patches) inTemplate(kind string) patches {
	pod := p["Pod"]
	if pod == nil {
		return p
	}
	text, err := json.Marshal(map[string]any{"spec": map[string]any{"template": pod}})
	if err != nil {
		return p // cannot happen: it was parsed
	}
	return patches{kind: text}
}

func intstrPort(n int32) intstr.IntOrString { return intstr.FromInt32(n) }
