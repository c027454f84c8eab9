package kubernetes

import (
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	k8sruntime "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

// A cluster that was away for minutes is seen again within seconds.
func TestClusterIsTriedEveryFewSeconds(t *testing.T) {
	LogTo(slog.New(slog.DiscardHandler)) // its throttle of messages does not know the time of a bubble
	synctest.Test(t, func(t *testing.T) {
		c := fake.NewClientset()
		var tried []time.Time
		refuse := func(clienttesting.Action) (bool, k8sruntime.Object, error) {
			tried = append(tried, time.Now()) // the fake calls one after the other
			return true, nil, apierrors.NewServiceUnavailable("going down")
		}
		c.PrependReactor("list", "pods", refuse)
		r, err := New(Options{Client: c, Namespace: "shop", Environment: "staging", Project: "shop", Nonce: "n"})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		r.Close()
		longest := time.Duration(0)
		for i := 1; i < len(tried); i++ {
			longest = max(longest, tried[i].Sub(tried[i-1]))
		}
		if longest == 0 || longest > 5*time.Second {
			t.Errorf("%d tries, up to %v apart", len(tried), longest)
		}
	})
}
