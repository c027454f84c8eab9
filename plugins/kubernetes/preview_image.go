package kubernetes

import (
	"context"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/stead-dev/stead/runtime"
)

// Namer is a Packer that knows what Pack would return for the files that are
// there now. It brings the image nowhere, and fetches nothing for it.
type Namer interface {
	Name(ctx context.Context, spec runtime.Spec) (reference string, err error)
}

const (
	// madeAtStart stands for an image of which nobody can say yet what will be
	// in it: its program is not built, or its base was never fetched.
	madeAtStart = "made-at-start"
	// namingTime is how long all images of a preview may take. Those that were
	// made before take milliseconds; who only looks does not wait for others,
	// nor for a cluster that does not say what machines it has.
	namingTime = 5 * time.Second
)

// images are the references of specs, all of them within namingTime.
func (r *Runtime) images(ctx context.Context, specs []runtime.Spec) []string {
	ctx, cancel := context.WithTimeout(ctx, namingTime)
	defer cancel()
	references := make([]string, len(specs))
	for i, spec := range specs {
		references[i] = r.image(ctx, spec)
	}
	return references
}

// image is by which reference the objects of spec name their image, as far as
// that is known.
func (r *Runtime) image(ctx context.Context, spec runtime.Spec) string {
	if spec.Package == nil {
		return spec.Image
	}
	namer, ok := r.options.Packer.(Namer)
	if !ok {
		return madeAtStart
	}
	reference, err := namer.Name(ctx, spec)
	if err != nil {
		r.log.Debug("the image has no name yet", "service", spec.ID.Service, "err", err)
		return madeAtStart
	}
	return reference
}

// keepImages gives o the images of the Job that is there: an API server refuses
// even to say what another one would change, as a Job's pods are what they are.
// What is returned puts those of o back into a text of what it says.
func (o object) keepImages(there metav1.Object) (restore func(text string) string) {
	job, ok := there.(*batchv1.Job)
	if !ok {
		return func(text string) string { return text }
	}
	was := map[string]string{}
	for _, c := range job.Spec.Template.Spec.Containers {
		was[c.Name] = c.Image
	}
	var words []string
	containers, _, _ := unstructured.NestedFieldNoCopy(o.fields, "spec", "template", "spec", "containers")
	list, _ := containers.([]any)
	for _, one := range list {
		c, _ := one.(map[string]any)
		name, _ := c["name"].(string)
		image, _ := c["image"].(string)
		if old := was[name]; old != "" && old != image {
			words = append(words, "image: "+old+"\n", "image: "+image+"\n")
			c["image"] = old
		}
	}
	return strings.NewReplacer(words...).Replace
}
