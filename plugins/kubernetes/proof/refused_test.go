package proof

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// busy answers three calls of ten 429, 500 or 503, and loses the answer of one
// write of three.
func (g *gate) busy() rule {
	calls, writes := atomic.Int32{}, atomic.Int32{}
	return func(w http.ResponseWriter, r *http.Request) bool {
		if isWatch(r) {
			return false
		}
		switch calls.Add(1) % 10 {
		case 1:
			answer(w, http.StatusTooManyRequests, "TooManyRequests", "too many requests")
		case 4:
			answer(w, http.StatusInternalServerError, "InternalError", "etcdserver: request timed out")
		case 8:
			answer(w, http.StatusServiceUnavailable, "ServiceUnavailable", "apiserver is shutting down")
		default:
			if !isWrite(r) || writes.Add(1)%3 != 1 {
				return false
			}
			g.lost(r)
		}
		return true
	}
}

// TestKubernetesBusy: 429 and 5xx to most of what is asked, and answers that
// are lost; what is asked for is there in the end, and nothing twice.
func TestKubernetesBusy(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	first := s.spec("web", 2)
	p.start(first) // what is made while all is well is what is compared with
	p.awaitReady(first)
	p.route(first.ID)
	s.gate.obey(s.gate.busy())
	second := next(first)
	p.swap(first, second)
	s.gate.obey(nil)
	total := 0
	for _, n := range s.writes(t) {
		total += n
	}
	const needed = 6 + 5 // start and route; start, two second owners, route, removal
	if lost := int(s.gate.losses.Load()); total > needed+lost || lost == 0 {
		t.Errorf("%d writes, of which nobody heard of %d: %v", total, lost, s.writes(t))
	}
	s.holds(t, p, second)
	d, err := s.admin.AppsV1().Deployments(s.namespace).Get(t.Context(), "web-2", metav1.GetOptions{})
	if err != nil || d.Generation != 1 {
		t.Errorf("the Deployment was changed: generation %d, %v", d.Generation, err)
	}
}

// holds looks whether there is what is asked for, and nothing else.
func (s *scene) holds(t *testing.T, p *player, spec runtime.Spec) {
	t.Helper()
	ns := s.namespace
	eventually(t, "one Deployment is left", func(ctx context.Context) bool {
		list, err := s.admin.AppsV1().Deployments(ns).List(ctx, metav1.ListOptions{})
		return err == nil && len(list.Items) == 1 && list.Items[0].Labels["stead.dev/generation"] == strconv.FormatUint(spec.ID.Number, 10)
	})
	eventually(t, "its ConfigMap, its Secret and its pods are left", func(ctx context.Context) bool {
		ours := metav1.ListOptions{LabelSelector: "app.kubernetes.io/managed-by=stead"}
		configs, err1 := s.admin.CoreV1().ConfigMaps(ns).List(ctx, ours)
		secrets, err2 := s.admin.CoreV1().Secrets(ns).List(ctx, ours)
		pods, err3 := s.admin.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		return err1 == nil && err2 == nil && err3 == nil && len(configs.Items) == 1 && len(secrets.Items) == 1 && len(pods.Items) == spec.Replicas
	})
	service, err := s.admin.CoreV1().Services(ns).Get(t.Context(), spec.ID.Service, metav1.GetOptions{})
	if err != nil || service.Spec.Selector["stead.dev/generation"] != strconv.FormatUint(spec.ID.Number, 10) {
		t.Errorf("the Service: %v, %v", service.Spec.Selector, err)
	}
	if p != nil {
		p.awaitReady(spec)
	}
}

// TestKubernetesTokenExpires: nothing goes any more, until somebody has logged
// in again, which is another token in the kubeconfig.
func TestKubernetesTokenExpires(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	spec := s.spec("web", 1)
	p.start(spec)
	p.awaitReady(spec)
	s.gate.obey(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer second" {
			return false
		}
		answer(w, http.StatusUnauthorized, "Unauthorized", "Unauthorized")
		return true
	})
	s.gate.cut()
	_, err := p.rt.Start(t.Context(), next(spec))
	if runtime.Class(err) != runtime.Unavailable || !strings.Contains(runtime.Hint(err), "log in") {
		t.Fatalf("%v, hint %q", err, runtime.Hint(err))
	}
	s.gate.log(t, "second")
	p.start(next(spec))
	p.awaitReady(next(spec))
}

// TestKubernetesNamespaceIsRemoved by somebody else: what ran there has ended,
// which is said; and can be started anew.
func TestKubernetesNamespaceIsRemoved(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	spec := s.spec("web", 2)
	p.start(spec)
	p.awaitReady(spec)
	p.route(spec.ID)
	if err := s.admin.CoreV1().Namespaces().Delete(t.Context(), s.namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.await("it has failed", func() bool { return p.generations[spec.ID].Phase.Final() && len(p.exits) == 2 })
	p.mu.Lock()
	end := p.generations[spec.ID]
	p.mu.Unlock()
	if end.Phase != runtime.GenerationFailed || !end.Lost || !strings.Contains(end.Reason, "removed from the cluster") {
		t.Errorf("%+v", end)
	}
	second := next(spec)
	p.start(second) // as soon as the namespace is gone
	p.awaitReady(second)
	p.route(second.ID)
	s.holds(t, p, second)
}

// TestKubernetesQuota: what does not fit is said, and made once it does.
func TestKubernetesQuota(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	spec := s.spec("web", 2)
	quota := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "small"}, Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{
		corev1.ResourcePods: resource.MustParse("1"), "count/deployments.apps": resource.MustParse("1"),
	}}}
	s.makeNamespace(t)
	quotas := s.admin.CoreV1().ResourceQuotas(s.namespace)
	if _, err := quotas.Create(t.Context(), quota, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the quota holds", func(ctx context.Context) bool {
		q, err := quotas.Get(ctx, "small", metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) == 2
	})
	p.start(spec)
	p.await("it says so", func() bool {
		return strings.Contains(p.generations[spec.ID].Reason, "the namespace's quota is used up: ") && p.readyOf(spec.ID) == 1
	})
	_, err := p.rt.Start(t.Context(), next(spec))
	if runtime.Class(err) != runtime.Invalid || !strings.Contains(err.Error(), "exceeded quota: small") || !strings.Contains(runtime.Hint(err), "quota") {
		t.Errorf("%v, hint %q", err, runtime.Hint(err))
	}
	if err := quotas.Delete(t.Context(), "small", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	p.awaitReady(spec) // the ReplicaSet's controller tries again
	p.await("nothing is said any more", func() bool { return p.generations[spec.ID].Reason == "" })
	p.route(spec.ID)
	p.swap(spec, next(spec))
	s.holds(t, p, next(spec))
}

func (s *scene) makeNamespace(t *testing.T) {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.namespace}}
	if _, err := s.admin.CoreV1().Namespaces().Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// deny has the cluster refuse a resource of the scene's namespace, until the
// function that is returned ends that.
func (s *scene) deny(t *testing.T, group, resource, message string) (end func()) {
	t.Helper()
	name := s.namespace + "-" + resource
	policies, bindings := s.admin.AdmissionregistrationV1().ValidatingAdmissionPolicies(), s.admin.AdmissionregistrationV1().ValidatingAdmissionPolicyBindings()
	policy := &admissionv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: &admissionv1.MatchResources{
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.namespace}},
			ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{group}, APIVersions: []string{"*"}, Resources: []string{resource}},
			}}},
		},
		Validations: []admissionv1.Validation{{Expression: "false", Message: message}},
	}}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
	}}
	end = func() {
		ctx := context.Background()
		_ = bindings.Delete(ctx, name, metav1.DeleteOptions{}) // the second time they are gone
		_ = policies.Delete(ctx, name, metav1.DeleteOptions{})
	}
	t.Cleanup(end)
	if _, err := policies.Create(t.Context(), policy, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := bindings.Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return end
}

// TestKubernetesPolicyDenies first the Deployment, then the pods.
func TestKubernetesPolicyDenies(t *testing.T) {
	s := onControl(t)
	s.makeNamespace(t)
	p := s.open(t)
	spec := s.spec("web", 1)
	allow := s.deny(t, "apps", "deployments", "not on fridays")
	allowPods := s.deny(t, "", "pods", "no pods on fridays")
	eventually(t, "the policies hold", func(ctx context.Context) bool {
		_, err := s.admin.CoreV1().Pods(s.namespace).Create(ctx, &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "trial"}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil && strings.Contains(err.Error(), "fridays")
	})
	eventually(t, "Start is refused", func(ctx context.Context) bool {
		_, err := p.rt.Start(ctx, spec)
		if err == nil {
			t.Fatal("it was let through: the policy did not hold yet")
		}
		if runtime.Class(err) != runtime.Invalid || !strings.Contains(err.Error(), "not on fridays") || !strings.Contains(runtime.Hint(err), "policy") {
			t.Errorf("%v, hint %q", err, runtime.Hint(err))
		}
		return true
	})
	allow()
	eventually(t, "Start is let through", func(ctx context.Context) bool {
		_, err := p.rt.Start(ctx, spec)
		return err == nil
	})
	p.await("the pods' refusal is told", func() bool { return strings.Contains(p.generations[spec.ID].Reason, "no pods on fridays") })
	allowPods()
	p.awaitReady(spec)
	p.route(spec.ID)
	s.holds(t, p, spec)
}

// TestKubernetesNodeIsDrained: cordoned, its pods evicted. They end for no
// fault of their own, what comes in their stead waits for a node and says so,
// and takes it as soon as there is one.
func TestKubernetesNodeIsDrained(t *testing.T) {
	s := onControl(t)
	p := s.open(t)
	spec := s.spec("web", 2)
	spec.Patch = strings.Replace(spec.Patch, `{"operator":"Exists"}`, `{"key":"proof","operator":"Exists"}`, 1) // not what cordons
	p.start(spec)
	p.awaitReady(spec)
	cordon := func(on string) {
		t.Helper()
		_, err := s.admin.CoreV1().Nodes().Patch(t.Context(), s.kubelet.node, types.MergePatchType, []byte(`{"spec":{"unschedulable":`+on+`}}`), metav1.PatchOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	cordon("true")
	list, err := s.admin.CoreV1().Pods(s.namespace).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	evict := func(name string) error {
		return s.admin.CoreV1().Pods(s.namespace).EvictV1(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	eventually(t, "the first pod may go", func(context.Context) bool { return evict(list.Items[0].Name) == nil })
	p.await("it is told, and waits", func() bool {
		return len(p.exits) == 1 && p.readyOf(spec.ID) == 1 && strings.Contains(p.generations[spec.ID].Reason, "no node takes it: ")
	})
	if err := evict(list.Items[1].Name); !apierrors.IsTooManyRequests(err) {
		t.Errorf("the second goes along, in spite of the PodDisruptionBudget: %v", err)
	}
	cordon("false")
	p.awaitReady(spec)
	p.mu.Lock()
	defer p.mu.Unlock()
	for instance, exits := range p.exits {
		if e := exits[0]; len(exits) != 1 || !strings.Contains(e.Error, "ended by the cluster: EvictionByEvictionAPI") {
			t.Errorf("%v: %+v", instance, exits)
		}
	}
	if g := p.generations[spec.ID]; g.Reason != "" || g.Phase != runtime.GenerationRunning {
		t.Errorf("%+v", g)
	}
}
