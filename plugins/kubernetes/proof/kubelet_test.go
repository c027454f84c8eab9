package proof

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

// kubelet pretends to run the pods of a node of its own: each gets an address
// and is ready at once, and is gone when it is asked to end.
type kubelet struct {
	client kubernetes.Interface
	node   string

	mu   sync.Mutex
	next int // address
	pods map[types.UID]bool
}

// pretend adds a node to the cluster, which goes with the test.
func pretend(t *testing.T, client kubernetes.Interface) *kubelet {
	t.Helper()
	k := &kubelet{client: client, node: "proof-" + strings.ToLower(rand.Text()[:8]), pods: map[types.UID]bool{}}
	much := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1000"), corev1.ResourceMemory: resource.MustParse("1000Gi"), corev1.ResourcePods: resource.MustParse("10000"),
	}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: k.node, Labels: map[string]string{"kubernetes.io/hostname": k.node}},
		Spec:       corev1.NodeSpec{Taints: []corev1.Taint{{Key: "proof", Effect: corev1.TaintEffectNoSchedule}}}, // nobody else's pods
		Status: corev1.NodeStatus{Capacity: much, Allocatable: much, Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()},
		}},
	}
	if _, err := client.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	work.Go(func() { k.beat(ctx) }) // ends with ctx
	pods := cache.NewFilteredListWatchFromClient(client.CoreV1().RESTClient(), "pods", "", func(o *metav1.ListOptions) { o.FieldSelector = "spec.nodeName=" + k.node })
	_, informer := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: pods, ObjectType: &corev1.Pod{}, Handler: cache.ResourceEventHandlerFuncs{
		AddFunc:    func(x any) { k.sync(ctx, x.(*corev1.Pod)) },
		UpdateFunc: func(_, x any) { k.sync(ctx, x.(*corev1.Pod)) },
	}})
	work.Go(func() { informer.RunWithContext(ctx) }) // ends with ctx
	t.Cleanup(func() {
		defer work.Wait()
		defer cancel()
		limited, done := context.WithTimeout(context.Background(), 30*time.Second)
		defer done()
		if err := client.CoreV1().Nodes().Delete(limited, k.node, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return k
}

// beat keeps the cluster from giving the node up.
func (k *kubelet) beat(ctx context.Context) {
	for {
		now := metav1.NowMicro()
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: k.node, Namespace: "kube-node-lease"}, Spec: coordinationv1.LeaseSpec{
			HolderIdentity: &k.node, LeaseDurationSeconds: ptr.To(int32(40)), RenewTime: &now,
		}}
		leases := k.client.CoordinationV1().Leases("kube-node-lease")
		if there, err := leases.Get(ctx, k.node, metav1.GetOptions{}); err == nil {
			there.Spec.RenewTime = &now
			_, _ = leases.Update(ctx, there, metav1.UpdateOptions{}) // again in a moment
		} else {
			_, _ = leases.Create(ctx, lease, metav1.CreateOptions{})
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(8 * time.Second):
		}
	}
}

// sync does for a pod what is due.
func (k *kubelet) sync(ctx context.Context, p *corev1.Pod) {
	switch {
	case p.DeletionTimestamp != nil:
		_ = k.client.CoreV1().Pods(p.Namespace).Delete(ctx, p.Name, metav1.DeleteOptions{
			GracePeriodSeconds: ptr.To(int64(0)), Preconditions: metav1.NewUIDPreconditions(string(p.UID)),
		})
	case p.Status.Phase == corev1.PodPending:
		k.mu.Lock()
		known := k.pods[p.UID]
		k.pods[p.UID] = true
		k.next++
		ip := fmt.Sprintf("10.%d.%d.%d", 128+k.next>>16&127, k.next>>8&255, k.next&255)
		k.mu.Unlock()
		if !known {
			_ = k.say(ctx, p, ip, 0, nil)
		}
	}
}

// exit ends the container of a pod with a code, and starts the next one.
func (k *kubelet) exit(ctx context.Context, p *corev1.Pod, code int32) error {
	c := p.Status.ContainerStatuses[0]
	return k.say(ctx, p, p.Status.PodIP, c.RestartCount+1, &corev1.ContainerStateTerminated{
		ExitCode: code, Reason: "Error", StartedAt: c.State.Running.StartedAt, FinishedAt: metav1.Now(), ContainerID: c.ContainerID,
	})
}

// say writes the status of a pod that runs.
func (k *kubelet) say(ctx context.Context, p *corev1.Pod, ip string, restarts int32, last *corev1.ContainerStateTerminated) error {
	now := metav1.Now()
	condition := func(kind corev1.PodConditionType) corev1.PodCondition {
		return corev1.PodCondition{Type: kind, Status: corev1.ConditionTrue, LastTransitionTime: now}
	}
	status := corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}}, HostIP: "192.0.2.1", HostIPs: []corev1.HostIP{{IP: "192.0.2.1"}}, StartTime: &now,
		Conditions: []corev1.PodCondition{condition(corev1.PodScheduled), condition(corev1.PodInitialized), condition(corev1.ContainersReady), condition(corev1.PodReady)},
		ContainerStatuses: []corev1.ContainerStatus{{
			Name: p.Spec.Containers[0].Name, Ready: true, Started: ptr.To(true), RestartCount: restarts, Image: p.Spec.Containers[0].Image,
			ContainerID: fmt.Sprintf("pretended://%s-%d", p.UID, restarts), State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}},
			LastTerminationState: corev1.ContainerState{Terminated: last},
		}},
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": p.UID}, "status": status})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(p.Namespace).Patch(ctx, p.Name, types.MergePatchType, body, metav1.PatchOptions{}, "status")
	return err
}
