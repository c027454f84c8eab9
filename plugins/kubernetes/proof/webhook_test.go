package proof

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	reviewv1 "k8s.io/api/admission/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// webhook answers the API server's reviews, over TLS, as long as it is not down.
type webhook struct {
	*httptest.Server
	denies, down atomic.Bool
	asked        atomic.Int32
}

func (h *webhook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h.down.Load() {
		http.Error(w, "out for lunch", http.StatusBadGateway)
		return
	}
	var review reviewv1.AdmissionReview
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	h.asked.Add(1)
	review.Response = &reviewv1.AdmissionResponse{UID: review.Request.UID, Allowed: !h.denies.Load()}
	if !review.Response.Allowed {
		review.Response.Result = &metav1.Status{Message: "only after the release"}
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // else the API server says so
}

// hook has each Deployment of the scene reviewed.
func (s *scene) hook(t *testing.T) *webhook {
	t.Helper()
	h := &webhook{}
	h.Server = httptest.NewTLSServer(h)
	t.Cleanup(h.Server.Close)
	fail, none := admissionv1.Fail, admissionv1.SideEffectClassNone
	wait := int32(5)
	hooks := s.admin.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := hooks.Create(t.Context(), &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: s.namespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "release.stead.test", FailurePolicy: &fail, SideEffects: &none, TimeoutSeconds: &wait, AdmissionReviewVersions: []string{"v1"},
			ClientConfig: admissionv1.WebhookClientConfig{
				URL: &h.URL, CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: h.Certificate().Raw}),
			},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.namespace}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"apps"}, APIVersions: []string{"v1"}, Resources: []string{"deployments"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hooks.Delete(context.Background(), s.namespace, metav1.DeleteOptions{}) })
	return h
}

// TestKubernetesWebhookDenies: what an admission webhook says no to is refused
// in its words; while it is down nothing is made, and that is told; when it lets
// things through, what was asked for is there.
func TestKubernetesWebhookDenies(t *testing.T) {
	s := onControl(t)
	s.makeNamespace(t)
	p := s.open(t)
	spec := s.spec("web", 1)
	h := s.hook(t)
	h.denies.Store(true)
	probe := s.spec("probe", 1)
	eventually(t, "Start is refused", func(ctx context.Context) bool {
		probe.ID.Number++ // the API server hears of the hook after a moment
		_, err := p.rt.Start(ctx, probe)
		if err == nil {
			return false
		}
		if runtime.Class(err) != runtime.Invalid || !strings.Contains(err.Error(), "only after the release") || !strings.Contains(runtime.Hint(err), "webhook") {
			t.Errorf("%v, hint %q", err, runtime.Hint(err))
		}
		return true
	})
	h.down.Store(true)
	_, err := p.rt.Start(t.Context(), spec)
	if err == nil || !strings.Contains(err.Error(), "release.stead.test") || !strings.Contains(runtime.Hint(err), "the webhook that is named") {
		t.Errorf("while it is down: %v, hint %q", err, runtime.Hint(err))
	}
	h.down.Store(false)
	h.denies.Store(false)
	eventually(t, "Start is let through", func(ctx context.Context) bool {
		_, err := p.rt.Start(ctx, spec)
		return err == nil
	})
	p.awaitReady(spec)
	if h.asked.Load() == 0 {
		t.Error("nobody has asked the webhook")
	}
}
