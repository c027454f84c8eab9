package kubernetes

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

// Two steads never apply at once, and have the same field manager (see lease):
// who else sets a field that stead sets is somebody with kubectl, or another
// tool. Nothing is taken from them by force.

// fieldConflicts are the fields that an apply wants to change and somebody else
// has set, by who that is.
func fieldConflicts(err error) map[string][]string {
	var status apierrors.APIStatus
	if !apierrors.IsConflict(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	others := map[string][]string{}
	for _, c := range status.Status().Details.Causes {
		if c.Type != metav1.CauseTypeFieldManagerConflict {
			continue
		}
		who := c.Message // conflict with "kubectl-edit" using v1
		if _, rest, ok := strings.Cut(who, `"`); ok {
			who, _, _ = strings.Cut(rest, `"`)
		}
		others[who] = append(others[who], c.Field)
	}
	return others
}

// contested is the error that names who, and what.
func (r *Runtime) contested(doing string, others map[string][]string) error {
	var all []string
	for _, who := range slices.Sorted(maps.Keys(others)) {
		all = append(all, fmt.Sprintf("%s has set %s", who, strings.Join(others[who], ", ")))
	}
	_, object, _ := strings.Cut(doing, " ")
	kind, name, _ := strings.Cut(object, " ")
	return refuse(runtime.Conflict,
		fmt.Sprintf("say it in stead.yaml instead (kubernetes:), and have it made anew: kubectl -n %s delete %s %s", r.namespace, strings.ToLower(kind), name),
		"%s: %s", doing, strings.Join(all, "; "))
}
