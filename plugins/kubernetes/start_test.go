package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/stead-dev/stead/runtime"
)

// refusing is a Packer that cannot make an image, as soon as it is let.
type refusing chan struct{}

func (r refusing) Pack(context.Context, runtime.Spec) (string, error) {
	<-r
	return "", fmt.Errorf("there is no program: %w", runtime.Invalid)
}

// TestARefusedImageIsToldWhileTheClusterIsAway: what is tried again and again
// beside it is given up.
func TestARefusedImageIsToldWhileTheClusterIsAway(t *testing.T) {
	refuse := make(refusing)
	r, _ := onFakeWith(t, func(c *fake.Clientset) {
		tried := false
		c.PrependReactor("patch", "serviceaccounts", func(clienttesting.Action) (bool, k8sruntime.Object, error) {
			if !tried {
				tried = true
				close(refuse)
			}
			return true, nil, apierrors.NewServiceUnavailable("going down")
		})
	})
	r.options.Packer = refuse
	spec := webSpec()
	if _, err := r.Start(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	failed := errors.New("seen")
	err := r.Watch(ctx, func(e runtime.Event) error {
		if e.Kind == runtime.GenerationEvent && e.Generation.Phase == runtime.GenerationFailed && strings.Contains(e.Generation.Reason, "there is no program") {
			return failed
		}
		return nil
	})
	if !errors.Is(err, failed) {
		t.Error(err)
	}
}
