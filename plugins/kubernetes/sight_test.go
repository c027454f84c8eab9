package kubernetes

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stead-dev/stead/runtime"
)

// stage is a pods of which a test says what they are.
type stage struct {
	mu      sync.Mutex
	seen    []sight
	changed chan struct{}
	route   uint64
	ports   map[string]int32
}

func newStage(seen ...sight) *stage { return &stage{seen: seen, changed: make(chan struct{})} }

func (s *stage) set(seen ...sight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = seen
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *stage) look(id runtime.ID) ([]sight, bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var of []sight
	for _, one := range s.seen {
		if one.id.Service == id.Service && (id.Number == 0 || one.id == id) {
			of = append(of, one)
		}
	}
	return of, id.Service == "web", s.changed
}

func (s *stage) writers(id runtime.ID) ([]sight, bool, <-chan struct{}) { return s.look(id) }

func (s *stage) routed(context.Context, runtime.ID) (uint64, error) { return s.route, nil }

func (s *stage) port(_ runtime.ID, name string) (int32, bool) {
	number, ok := s.ports[name]
	return number, ok
}

var web1 = runtime.ID{Environment: "staging", Project: "shop", Service: "web", Number: 1}

// podOf returns a pod whose container runs.
func podOf(name string, replica int) sight {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", UID: types.UID(name)}}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: "web", ContainerID: name + "#0", State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
	}}
	return sight{pod: pod, id: web1, replica: replica}
}

// change returns a copy of s in which its container is what fn makes of it.
func (s sight) change(fn func(c *corev1.ContainerStatus)) sight {
	s.pod = s.pod.DeepCopy()
	fn(&s.pod.Status.ContainerStatuses[0])
	return s
}

func endedAt(id string, t time.Time) *corev1.ContainerStateTerminated {
	return &corev1.ContainerStateTerminated{ContainerID: id, FinishedAt: metav1.Time{Time: t}}
}
