package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
)

// access are the calls for objects of one kind, all in the same shape.
type access struct {
	get    func(ctx context.Context, name string) (metav1.Object, error)
	patch  func(ctx context.Context, name string, how types.PatchType, body []byte, o metav1.PatchOptions) (metav1.Object, error)
	remove func(ctx context.Context, name string, o metav1.DeleteOptions) error
}

// typed is what every typed client of client-go has.
type typed[T metav1.Object] interface {
	Get(ctx context.Context, name string, opts metav1.GetOptions) (T, error)
	Patch(ctx context.Context, name string, pt types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (T, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

func accessTo[T metav1.Object](c typed[T]) access {
	return access{
		get: func(ctx context.Context, name string) (metav1.Object, error) {
			return persist(ctx, func() (metav1.Object, error) { return c.Get(ctx, name, metav1.GetOptions{}) })
		},
		patch: func(ctx context.Context, name string, how types.PatchType, body []byte, o metav1.PatchOptions) (metav1.Object, error) {
			return persist(ctx, func() (metav1.Object, error) { return c.Patch(ctx, name, how, body, o) })
		},
		remove: func(ctx context.Context, name string, o metav1.DeleteOptions) error {
			_, err := persist(ctx, func() (any, error) { return nil, c.Delete(ctx, name, o) })
			return err
		},
	}
}

func accessFor(c kubernetes.Interface, namespace, kind string) access {
	switch kind {
	case "Deployment":
		return accessTo(c.AppsV1().Deployments(namespace))
	case "Job":
		return accessTo(c.BatchV1().Jobs(namespace))
	case "Service":
		return accessTo(c.CoreV1().Services(namespace))
	case "ConfigMap":
		return accessTo(c.CoreV1().ConfigMaps(namespace))
	case "Secret":
		return accessTo(c.CoreV1().Secrets(namespace))
	case "ServiceAccount":
		return accessTo(c.CoreV1().ServiceAccounts(namespace))
	case "PersistentVolumeClaim":
		return accessTo(c.CoreV1().PersistentVolumeClaims(namespace))
	case "PodDisruptionBudget":
		return accessTo(c.PolicyV1().PodDisruptionBudgets(namespace))
	}
	panic("kubernetes: no access to " + kind) // cannot happen: kinds has them all
}

// ensure makes the cluster have o, by no more than one write, and returns what
// there is. What is there of somebody else is left alone, and is an error that
// names whose it is.
func (r *Runtime) ensure(ctx context.Context, o object) (metav1.Object, error) {
	to := r.to(o.kind)
	there, err := to.get(ctx, o.name)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		return nil, r.explain(err, "look for %s %s", o.kind, o.name)
	default:
		if err := r.ours(o.kind, there); err != nil {
			return nil, err
		}
		if there.GetAnnotations()[annotationApplied] == o.annotation(annotationApplied) && o.hasOwnersOf(there) {
			return there, nil
		}
		o.addOwnersOf(there)
	}
	made, err := to.patch(ctx, o.name, types.ApplyPatchType, o.json(), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		return nil, r.explain(err, "apply %s %s", o.kind, o.name)
	}
	return made, nil
}

// hasOwnersOf reports whether there is owned by all that o is to be owned by.
func (o object) hasOwnersOf(there metav1.Object) bool {
	known := map[string]bool{}
	for _, owner := range there.GetOwnerReferences() {
		known[string(owner.UID)] = true
	}
	for _, uid := range o.owners() {
		if !known[uid] {
			return false
		}
	}
	return true
}

func (o object) owners() []string {
	var uids []string
	list, _ := o.meta()["ownerReferences"].([]any)
	for _, one := range list {
		owner, _ := one.(map[string]any)
		uid, _ := owner["uid"].(string)
		uids = append(uids, uid)
	}
	return uids
}

// addOwnersOf keeps those of other generations: what is not named any more in
// an apply goes away.
func (o object) addOwnersOf(there metav1.Object) {
	if !o.owned() {
		return
	}
	list, _ := o.meta()["ownerReferences"].([]any)
	have := map[string]bool{}
	for _, uid := range o.owners() {
		have[uid] = true
	}
	for _, owner := range there.GetOwnerReferences() {
		if !have[string(owner.UID)] {
			list = append(list, ownerReference(owner.Kind, owner.Name, string(owner.UID)))
		}
	}
	o.meta()["ownerReferences"] = list
}

// ownedBy is o with a generation's object as its owner.
func (o object) ownedBy(kind string, owner metav1.Object) object {
	o.fields = maps.Clone(o.fields)
	meta := maps.Clone(o.meta())
	meta["ownerReferences"] = []any{ownerReference(kind, owner.GetName(), string(owner.GetUID()))}
	o.fields["metadata"] = meta
	return o
}

// ensureNamespace makes the namespace when it is absent. Who may not ask is
// told by the first write whether it is there.
func (r *Runtime) ensureNamespace(ctx context.Context) error {
	there, err := persist(ctx, func() (*corev1.Namespace, error) {
		return r.client.CoreV1().Namespaces().Get(ctx, r.namespace, metav1.GetOptions{})
	})
	switch {
	case err == nil && there.Status.Phase == corev1.NamespaceTerminating:
		return r.terminating()
	case err == nil, apierrors.IsForbidden(err):
		return nil
	case !apierrors.IsNotFound(err):
		return r.explain(err, "look for namespace %s", r.namespace)
	}
	namespace := &corev1.Namespace{}
	namespace.Name = r.namespace
	namespace.Labels = map[string]string{labelManagedBy: manager, labelProject: labelValue(r.project)}
	_, err = persist(ctx, func() (any, error) {
		return r.client.CoreV1().Namespaces().Create(ctx, namespace, metav1.CreateOptions{FieldManager: manager})
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return r.explain(err, "make namespace %s", r.namespace)
	}
	return nil
}

// prepare writes what comes before the generation's own object, and looks
// ahead. It takes no image.
func (r *Runtime) prepare(ctx context.Context, p *plan) error {
	objects, err := p.objects()
	if err != nil {
		return err
	}
	if err := r.ensureNamespace(ctx); err != nil {
		return err
	}
	for _, o := range objects {
		if o.ofGeneration() {
			break
		}
		if _, err := r.ensure(ctx, o); err != nil {
			return err
		}
	}
	return r.survey(ctx, p)
}

// survey is how the cluster was just before a generation's object is written.
type survey struct {
	at         time.Time
	generation metav1.Object // as it is there; nil: not yet
	replicas   int32
}

// surveyAge is how old a survey may be: an image on its way to a node is
// waited for; after one that took its time to a registry all is asked again.
const surveyAge = time.Second

func (r *Runtime) survey(ctx context.Context, p *plan) (err error) {
	s := survey{at: time.Now()}
	var asking sync.WaitGroup
	asking.Go(func() { s.replicas = r.liveReplicas(ctx, p) })
	s.generation, err = r.generationObject(ctx, p.spec.ID)
	asking.Wait()
	if err == nil {
		p.survey = s
	}
	return err
}

// put writes the generation's object, with as many replicas as the routed one
// has now, and what it owns.
func (r *Runtime) put(ctx context.Context, p *plan) error {
	if time.Since(p.survey.at) > surveyAge {
		if err := r.survey(ctx, p); err != nil {
			return err
		}
	}
	generation := p.survey.generation
	p.replicas = p.survey.replicas
	p.survey = survey{} // what follows changes it
	objects, err := p.objects()
	if err != nil {
		return err
	}
	for _, o := range objects {
		switch {
		case o.ofGeneration():
			generation, err = r.create(ctx, p, o, generation)
		case o.owned():
			_, err = r.ensure(ctx, o.ownedBy(p.kind(), generation))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// create writes the Deployment or Job of a generation, unless it is there: from
// then on only its scale and its end are changed.
func (r *Runtime) create(ctx context.Context, p *plan, o object, there metav1.Object) (metav1.Object, error) {
	if there != nil {
		return there, sameHash(p.spec.ID, there.GetAnnotations()[annotationHash], p.hash)
	}
	if p.stopSignal() != "" {
		if err := r.keepsStopSignal(ctx, o); err != nil {
			return nil, err
		}
	}
	made, err := r.to(o.kind).patch(ctx, o.name, types.ApplyPatchType, o.json(), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		return nil, r.explain(err, "apply %s %s", o.kind, o.name)
	}
	return made, nil
}

// generationObject is the Deployment or Job of a generation, or nil.
func (r *Runtime) generationObject(ctx context.Context, id runtimeID) (metav1.Object, error) {
	var found [2]metav1.Object
	var errs [2]error
	var asking sync.WaitGroup
	for i, kind := range []string{"Deployment", "Job"} {
		asking.Go(func() { found[i], errs[i] = r.generationOf(ctx, kind, generationName(id)) })
	}
	asking.Wait()
	if found[0] != nil || errs[0] != nil {
		return found[0], errs[0]
	}
	return found[1], errs[1]
}

func (r *Runtime) generationOf(ctx context.Context, kind, name string) (metav1.Object, error) {
	there, err := accessFor(r.client, r.namespace, kind).get(ctx, name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, r.explain(err, "look for %s %s", kind, name)
	case there.GetDeletionTimestamp() != nil:
		return nil, r.stillThere(kind, name)
	}
	return there, r.ours(kind, there)
}

// keepsStopSignal asks the cluster, by a dry run, whether it has a word for a
// signal other than SIGTERM: a feature that is off drops it in silence.
func (r *Runtime) keepsStopSignal(ctx context.Context, o object) error {
	made, err := accessFor(r.client, r.namespace, o.kind).patch(ctx, o.name, types.ApplyPatchType, o.json(),
		metav1.PatchOptions{FieldManager: manager, DryRun: []string{metav1.DryRunAll}})
	if err != nil {
		return r.explain(err, "apply %s %s", o.kind, o.name)
	}
	text, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("%s %s: %w", o.kind, o.name, err)
	}
	var kept struct {
		Spec struct{ Template corev1.PodTemplateSpec }
	}
	if err := json.Unmarshal(text, &kept); err != nil {
		return fmt.Errorf("%s %s: %w", o.kind, o.name, err)
	}
	for _, c := range kept.Spec.Template.Spec.Containers {
		if c.Lifecycle != nil && c.Lifecycle.StopSignal != nil {
			return nil
		}
	}
	return noStopSignal()
}
