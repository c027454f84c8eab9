package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/stead-dev/stead/runtime"
)

// Preview implements runtime.Runtime. An image that is made of files has the
// name that a start would give it if they stayed as they are; where it cannot
// be made of them the objects name one that says so. A difference is what a dry run of
// the API server makes of the objects: its defaults are none.
func (r *Runtime) Preview(ctx context.Context, req runtime.PreviewRequest) ([]runtime.Preview, error) {
	if req.Environment != r.environment || req.Project != r.project {
		return nil, refuse(runtime.Invalid, "each environment of a project has a runtime of its own", "preview: this runtime serves project %s in environment %s", r.project, r.environment)
	}
	if req.Kind == runtime.PreviewImage { // it takes as long as it takes
		return r.previewImages(ctx, req.Specs)
	}
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	switch req.Kind {
	case runtime.PreviewRender, runtime.PreviewOpen, runtime.PreviewDiff:
		return r.previewSpecs(ctx, req)
	case runtime.PreviewRemove:
		return r.previewRemove(ctx)
	}
	return nil, refuse(runtime.Unsupported, "ask for render, open, diff, remove or image", "preview: unknown kind %q", req.Kind)
}

func (r *Runtime) previewSpecs(ctx context.Context, req runtime.PreviewRequest) ([]runtime.Preview, error) {
	var list []runtime.Preview
	references := r.images(ctx, req.Specs)
	for i, spec := range req.Specs {
		if spec.ID.Number == 0 {
			spec.ID.Number = r.ledger.next(spec.ID)
		}
		if err := r.validate(&spec); err != nil {
			return nil, fmt.Errorf("preview %s: %w", spec.ID.Service, err)
		}
		objects, err := rendered(spec, references[i])
		if err != nil {
			return nil, fmt.Errorf("preview %s: %w", spec.ID.Service, err)
		}
		for _, o := range objects {
			one := runtime.Preview{Kind: o.kind, Name: o.name, Service: spec.ID.Service}
			switch req.Kind {
			case runtime.PreviewDiff:
				one.Action, one.Text, err = r.differs(ctx, o)
			case runtime.PreviewOpen:
				one.Text, err = o.in(r.namespace).open()
			default:
				one.Text, err = o.in(r.namespace).yaml()
			}
			if err != nil {
				return nil, fmt.Errorf("preview %s: %w", spec.ID.Service, err)
			}
			list = append(list, one)
		}
	}
	return list, nil
}

// rendered are the objects of a spec, the Service among them.
func rendered(spec runtime.Spec, reference string) ([]object, error) {
	p, err := newPlan(spec, reference)
	if err != nil {
		return nil, err
	}
	objects, err := p.objects()
	if err != nil || len(p.ports) == 0 {
		return objects, err
	}
	o, err := one("Service", service(spec.ID, p.ports)).finish(patches{"Service": p.record().Service})
	return append(objects, o), err
}

// in says where o is, for those who apply it from a text.
func (o object) in(namespace string) object {
	meta, _ := o.fields["metadata"].(map[string]any)
	meta = maps.Clone(meta)
	meta["namespace"] = namespace
	o.fields = maps.Clone(o.fields)
	o.fields["metadata"] = meta
	return o
}

// open shows all of o.
func (o object) open() (string, error) {
	text, err := yaml.Marshal(o.fields)
	return string(text), err
}

// yaml shows o. The values of a Secret are for nobody to read; what stands for
// them is no base64, so that no one applies it by mistake.
func (o object) yaml() (string, error) {
	data, ok := o.fields["data"].(map[string]any)
	if !ok || o.kind != "Secret" {
		return o.open()
	}
	masked := map[string]any{}
	for name := range data {
		masked[name] = "(hidden)"
	}
	o.fields = maps.Clone(o.fields)
	o.fields["data"] = masked
	return o.open()
}

// hidden are fields that change by themselves, or say what stead remembers.
func hidden(fields map[string]any) map[string]any {
	meta, _ := fields["metadata"].(map[string]any)
	kept := map[string]any{"name": meta["name"], "labels": meta["labels"]}
	fields = maps.Clone(fields)
	fields["metadata"] = kept
	delete(fields, "status")
	return fields
}

// differs says what applying o would change.
func (r *Runtime) differs(ctx context.Context, o object) (action, text string, err error) {
	to := accessFor(r.client, r.namespace, o.kind)
	there, err := to.get(ctx, o.name)
	if apierrors.IsNotFound(err) {
		text, err = o.yaml()
		return "create", prefixed("+ ", text), err
	}
	if err != nil {
		return "", "", r.explain(err, "look for %s %s", o.kind, o.name)
	}
	if err := r.ours(o.kind, there); err != nil {
		return "", "", err
	}
	restore := o.keepImages(there)
	made, err := to.patch(ctx, o.name, types.ApplyPatchType, o.json(), metav1.PatchOptions{FieldManager: manager, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return "", "", r.explain(err, "dry run of %s %s", o.kind, o.name)
	}
	before, err := shown(there)
	if err != nil {
		return "", "", err
	}
	after, err := shown(made)
	after = restore(after)
	if err != nil || before == after {
		return "none", "", err
	}
	return "change", lineDiff(before, after), nil
}

func shown(o metav1.Object) (string, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return "", err
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		return "", err
	}
	if _, secret := fields["data"].(map[string]any); secret && fields["type"] != nil {
		delete(fields, "data") // of a Secret: its name says whether that differs
	}
	y, err := yaml.Marshal(hidden(fields))
	return string(y), err
}

func prefixed(with, text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(with + line)
	}
	return b.String()
}

// lineDiff shows the lines that differ, by the longest common subsequence.
func lineDiff(before, after string) string {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	common := make([][]int, len(a)+1)
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var out strings.Builder
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			out.WriteString("- " + a[i] + "\n")
			i++
		default:
			out.WriteString("+ " + b[j] + "\n")
			j++
		}
	}
	return out.String()
}

// previewRemove lists what is there of the project.
func (r *Runtime) previewRemove(ctx context.Context) ([]runtime.Preview, error) {
	var list []runtime.Preview
	for _, kind := range slices.Sorted(maps.Keys(kinds())) {
		if kind == "Pod" {
			continue // goes with its Deployment or Job
		}
		objects, err := listed(ctx, r.client, r.namespace, kind, r.ownership())
		if err != nil {
			return nil, r.explain(err, "list %ss", kind)
		}
		for _, o := range objects {
			one := runtime.Preview{Kind: kind, Name: o.GetName(), Service: o.GetLabels()[labelService], Action: "remove"}
			if kind == "PersistentVolumeClaim" {
				one.Action = "none" // what is on it is the user's
			}
			list = append(list, one)
		}
	}
	return list, nil
}

func (r *Runtime) previewImages(ctx context.Context, specs []runtime.Spec) ([]runtime.Preview, error) {
	var list []runtime.Preview
	for _, spec := range specs {
		reference := spec.Image
		if spec.Package != nil {
			if r.options.Packer == nil {
				return nil, refuse(runtime.Unsupported, "say image:", "preview %s: this runtime has nowhere to make images", spec.ID.Service)
			}
			var err error
			if reference, err = r.options.Packer.Pack(ctx, spec); err != nil {
				return nil, fmt.Errorf("preview %s: %w", spec.ID.Service, err)
			}
		}
		list = append(list, runtime.Preview{Kind: "Image", Name: spec.ID.Service, Service: spec.ID.Service, Text: reference})
	}
	return list, nil
}
