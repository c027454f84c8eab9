package kubernetes

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stead-dev/stead/runtime"
)

func TestPreview(t *testing.T) {
	r, c := onFake(t)
	spec := imageSpec()
	ask := func(kind runtime.PreviewKind) []runtime.Preview {
		t.Helper()
		list, err := r.Preview(t.Context(), runtime.PreviewRequest{Environment: "staging", Project: "shop", Specs: []runtime.Spec{spec}, Kind: kind})
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	actions := func(list []runtime.Preview) string {
		var words []string
		for _, p := range list {
			words = append(words, p.Action+" "+p.Kind+" "+p.Name)
		}
		return strings.Join(words, ", ")
	}
	if list := ask(runtime.PreviewRender); len(list) != 6 || !strings.Contains(list[2].Text, "name: web-7") {
		t.Errorf("%+v", list)
	}
	const all = "create ServiceAccount web, create PodDisruptionBudget web, create Deployment web-7, create ConfigMap web-28289bc788, create Secret web-ab0e88dc2c, create Service web"
	if got := actions(ask(runtime.PreviewDiff)); got != all {
		t.Error(got)
	}
	if got := writes(c); got != "" {
		t.Errorf("it has written: %s", got)
	}
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	if got := actions(ask(runtime.PreviewDiff)); strings.Count(got, "none ") != 5 || strings.Count(got, "create Service web") != 1 {
		t.Error(got)
	}
	if got := actions(ask(runtime.PreviewRemove)); strings.Count(got, "remove ") != 5 {
		t.Error(got)
	}
	spec.ID.Number = 0
	if list := ask(runtime.PreviewRender); !strings.Contains(list[2].Text, "name: web-8") {
		t.Error("the next generation has not the next number")
	}
	values := false
	for _, p := range ask(runtime.PreviewOpen) {
		if !strings.Contains(p.Text, "namespace: ") {
			t.Errorf("%s does not say where it is", p.Name)
		}
		values = values || p.Kind == "Secret" && strings.Contains(p.Text, "czNjcmV0")
	}
	if !values {
		t.Error("what is to be applied has no values")
	}
	for _, p := range append(ask(runtime.PreviewDiff), ask(runtime.PreviewRender)...) {
		if strings.Contains(p.Text, "s3cret") || strings.Contains(p.Text, "czNjcmV0") {
			t.Errorf("%s shows a secret", p.Name)
		}
	}
}

// naming is a Packer that says beforehand what it will return, or that it
// cannot.
type naming struct {
	tagged
	err error
}

func (n naming) Name(ctx context.Context, spec runtime.Spec) (string, error) {
	if n.err != nil {
		return "", n.err
	}
	return n.Pack(ctx, spec)
}

// TestPreviewNamesTheImage that a start would use, and says so where it is not
// known.
func TestPreviewNamesTheImage(t *testing.T) {
	for name, c := range map[string]struct {
		packer Packer
		want   string
	}{
		"known":            {naming{}, "image: registry.example/web:1\n"},
		"not built":        {naming{err: errors.New("no such file")}, "image: made-at-start\n"},
		"nobody can name":  {tagged{}, "image: made-at-start\n"},
		"nobody can build": {nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r, api := onFake(t)
			r.options.Packer = c.packer
			list, err := r.Preview(t.Context(), runtime.PreviewRequest{Environment: "staging", Project: "shop", Specs: []runtime.Spec{webSpec()}, Kind: runtime.PreviewRender})
			if c.want == "" {
				if runtime.Class(err) != runtime.Unsupported {
					t.Errorf("%+v, %v", list, err)
				}
				return
			}
			if err != nil || !strings.Contains(list[2].Text, c.want) {
				t.Errorf("%+v, %v", list, err)
			}
			if got := writes(api); got != "" {
				t.Errorf("it has written: %s", got)
			}
		})
	}
}

// TestDiffOfWhatRuns: what was started from files that are still the same has
// the image that it would be given.
func TestDiffOfWhatRuns(t *testing.T) {
	r, c := onFake(t)
	r.options.Packer = naming{}
	spec := webSpec()
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its last object is not written", func() bool { return strings.HasSuffix(writes(c), "patch secrets") })
	for _, packer := range []Packer{naming{}, tagged{}} {
		r.options.Packer = packer
		list, err := r.Preview(t.Context(), runtime.PreviewRequest{Environment: "staging", Project: "shop", Specs: []runtime.Spec{spec}, Kind: runtime.PreviewDiff})
		if err != nil {
			t.Fatal(err)
		}
		_, known := packer.(Namer)
		if p := list[2]; p.Kind != "Deployment" || (p.Action == "none") != known || strings.Contains(p.Text, madeAtStart) == known {
			t.Errorf("%T: %+v", packer, p)
		}
	}
}

// TestDiffOfAJobWithAnotherImage: an API server refuses to change a Job's pods,
// in a dry run too, and diff shows the image all the same.
func TestDiffOfAJobWithAnotherImage(t *testing.T) {
	var fixed atomic.Bool
	r, c := onFakeWith(t, func(c *fake.Clientset) {
		c.PrependReactor("patch", "jobs", func(a clienttesting.Action) (bool, k8sruntime.Object, error) {
			patch, _ := a.(clienttesting.PatchAction)
			if fixed.Load() && !strings.Contains(string(patch.GetPatch()), "registry.example/migrate:1") {
				return true, nil, apierrors.NewInvalid(schema.GroupKind{Group: "batch", Kind: "Job"}, patch.GetName(), nil)
			}
			return false, nil, nil
		})
	})
	spec := imageSpec()
	spec.ID.Service, spec.Image, spec.OneShot, spec.Replicas, spec.Ports, spec.Ready, spec.Live = "migrate", "registry.example/migrate:1", true, 1, nil, nil, nil
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	fixed.Store(true)
	c.ClearActions()
	for image, want := range map[string]string{
		"registry.example/migrate:1": "",
		"registry.example/migrate:2": "-         image: registry.example/migrate:1\n+         image: registry.example/migrate:2\n",
	} {
		spec.Image = image
		list, err := r.Preview(t.Context(), runtime.PreviewRequest{Environment: "staging", Project: "shop", Specs: []runtime.Spec{spec}, Kind: runtime.PreviewDiff})
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range list {
			if p.Kind == "Job" && p.Text != want {
				t.Errorf("%s: %+v", image, p)
			}
		}
	}
}

func TestLineDiff(t *testing.T) {
	if got := lineDiff("a\nb\nc", "a\nx\nc"); got != "- b\n+ x\n" {
		t.Errorf("%q", got)
	}
}
