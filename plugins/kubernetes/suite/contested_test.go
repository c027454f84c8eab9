package suite_test

import (
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/runtime"
)

// TestFieldsOfOthersAreNotTaken: whoever sets with kubectl what stead sets is
// named, and so is what they have set; what is none of stead's they may set.
func TestFieldsOfOthersAreNotTaken(t *testing.T) {
	s := newShop(t, cluster.API(t))
	r := s.runtime("alice@laptop/1")
	_, _ = watched(t, r)
	for n := range uint64(2) {
		if _, err := r.Start(t.Context(), web(n+1)); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Route(t.Context(), web(1).ID); err != nil {
		t.Fatal(err)
	}
	services := s.client.CoreV1().Services(s.namespace)
	edit := func(manager, patch string) {
		t.Helper()
		if _, err := services.Patch(t.Context(), "web", types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: manager}); err != nil {
			t.Fatal(err)
		}
	}
	edit("kubectl-edit", `{"metadata":{"annotations":{"team":"blue"}},"spec":{"sessionAffinity":"ClientIP"}}`)
	if err := r.Route(t.Context(), web(2).ID); err != nil {
		t.Errorf("what is none of stead's is in the way: %v", err)
	}
	edit("kubectl-edit", `{"spec":{"selector":{"stead.dev/generation":"77"}}}`)
	err := r.Route(t.Context(), web(1).ID)
	if !errors.Is(err, runtime.Conflict) || !strings.Contains(err.Error(), "apply Service web: kubectl-edit has set .spec.selector") ||
		!strings.Contains(runtime.Hint(err), "kubectl -n "+s.namespace+" delete service web") {
		t.Errorf("%v, hint %q", err, runtime.Hint(err))
	}
	if there, err := services.Get(t.Context(), "web", metav1.GetOptions{}); err != nil || there.Spec.Selector["stead.dev/generation"] != "77" || there.Annotations["team"] != "blue" {
		t.Errorf("%v, %v", there.Spec.Selector, err)
	}
	if err := services.Delete(t.Context(), "web", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Route(t.Context(), web(1).ID); err != nil {
		t.Errorf("after what was advised: %v", err)
	}
}
