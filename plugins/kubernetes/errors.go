package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/stead-dev/stead/runtime"
)

type runtimeID = runtime.ID

// explain gives an error of the API server, or of the way there, its class and
// what to do about it.
func (r *Runtime) explain(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if others := fieldConflicts(err); len(others) > 0 {
		return r.contested(doing, others)
	}
	hint, class := classify(err)
	if apierrors.HasStatusCause(err, "NamespaceTerminating") {
		return r.terminating()
	}
	return runtime.WithHint(fmt.Errorf("%s: %w: %w", doing, err, class), hint)
}

// classify says what an error of the cluster means for who asked. What has no
// status came from the way there.
func classify(err error) (hint string, class error) {
	var status apierrors.APIStatus
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "the cluster did not answer in time", runtime.Unavailable
	case apierrors.IsUnauthorized(err):
		return "log in to the cluster again: kubectl cluster-info says whether that works", runtime.Unavailable
	case apierrors.IsForbidden(err) && strings.Contains(err.Error(), "exceeded quota"):
		return "kubectl describe quota says what is left", runtime.Invalid
	case isDenied(err):
		return "whoever keeps the cluster has set the policy or webhook that is named", runtime.Invalid
	case strings.Contains(err.Error(), "failed calling webhook"):
		return "the webhook that is named does not answer: whoever keeps the cluster knows it", runtime.Unavailable
	case apierrors.IsForbidden(err):
		return "ask whoever keeps the cluster for the rights, or look at the policy that is named", runtime.Invalid
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return "the cluster says which field it does not take", runtime.Invalid
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return "somebody else has changed it: kubectl get -o yaml --show-managed-fields says who and what", runtime.Conflict
	case apierrors.IsNotFound(err):
		return "it was removed at this very moment", runtime.Unavailable
	case errors.As(err, &network):
		return "kubectl cluster-info says whether the cluster can be reached", runtime.Unavailable
	case errors.As(err, &status):
		if code := status.Status().Code; code == 429 || code >= 500 {
			return "the cluster is busy, or is being started", runtime.Unavailable
		}
		return "the cluster refuses it", runtime.Invalid
	}
	return "kubectl cluster-info says whether the cluster can be reached", runtime.Unavailable
}

// isDenied: an admission policy or webhook was asked, and says no. Which code
// and reason that has is up to them.
func isDenied(err error) bool {
	text := err.Error()
	return strings.Contains(text, "denied request: ") || strings.Contains(text, "denied the request")
}

func (r *Runtime) terminating() error {
	return refuse(runtime.Unavailable, "wait until it is gone, it is made again then", "namespace %s is being removed", r.namespace)
}

func (r *Runtime) stillThere(kind, name string) error {
	return refuse(runtime.Unavailable, "it takes as long as its pods take to end", "%s %s is being removed", kind, name)
}

// ours refuses what is not stead's, or another project's.
func (r *Runtime) ours(kind string, there metav1.Object) error {
	labels := there.GetLabels()
	if labels[labelManagedBy] != manager {
		who := "somebody else"
		if names := managers(there); len(names) > 0 {
			who = strings.Join(names, " and ")
		}
		return refuse(runtime.Conflict, "use another namespace, or remove it", "%s %s in namespace %s was made by %s, not by stead", kind, there.GetName(), r.namespace, who)
	}
	if project := labels[labelProject]; project != labelValue(r.project) {
		return refuse(runtime.Conflict, "give each project a namespace of its own", "%s %s in namespace %s is of project %s", kind, there.GetName(), r.namespace, project)
	}
	return nil
}

// managers are those who wrote fields of an object, but for its status.
func managers(there metav1.Object) []string {
	var names []string
	for _, entry := range there.GetManagedFields() {
		if entry.Subresource == "" && entry.Manager != manager {
			names = append(names, entry.Manager)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func sameHash(id runtime.ID, known, hash string) error {
	if known == hash {
		return nil
	}
	return fmt.Errorf("start %s: another spec has this number already: %w", id.Label(), runtime.Conflict)
}

func noStopSignal() error {
	return refuse(runtime.Unsupported, "let the service end by SIGTERM, have stead make its image (build:), which can say it, or turn on the feature ContainerStopSignals",
		"this cluster ends every container by SIGTERM")
}
