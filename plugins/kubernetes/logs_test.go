package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stead-dev/stead/runtime"
)

// epoch is when the logs of tests begin: a whole second.
var epoch = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

func at(ms int) time.Time { return epoch.Add(time.Duration(ms) * time.Millisecond) }

// kubelet keeps logs as one does: a file for each container, and which of them
// is the current one of a pod.
type kubelet struct {
	mu       sync.Mutex
	files    map[string][]logLine // by container
	current  map[string]string    // by pod
	previous map[string]string
	grown    chan struct{}
	breaks   int // the n-th connection breaks after n times so many lines; 0: never
	opened   int
}

func newKubelet() *kubelet {
	return &kubelet{files: map[string][]logLine{}, current: map[string]string{}, previous: map[string]string{}, grown: make(chan struct{})}
}

// write adds lines to the current container of a pod.
func (k *kubelet) write(pod string, ms int, texts ...string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current[pod] == "" {
		k.current[pod] = pod + "#0"
	}
	for _, text := range texts {
		id := k.current[pod]
		k.files[id] = append(k.files[id], logLine{time: at(ms), data: []byte(text)})
	}
	close(k.grown)
	k.grown = make(chan struct{})
}

// restart gives the pod another container.
func (k *kubelet) restart(pod, id string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.previous[pod], k.current[pod] = k.current[pod], id
	close(k.grown)
	k.grown = make(chan struct{})
}

func (k *kubelet) open(ctx context.Context, pod *corev1.Pod, o *corev1.PodLogOptions) (io.ReadCloser, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.opened++
	id := k.current[pod.Name]
	if o.Previous {
		id = k.previous[pod.Name]
	}
	if id == "" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "pods"}, pod.Name)
	}
	r, w := io.Pipe()
	go k.send(ctx, w, k.opened, pod.Name, id, *o)
	return r, nil
}

func (k *kubelet) send(ctx context.Context, w *io.PipeWriter, opened int, pod, id string, o corev1.PodLogOptions) {
	next, sent, broken := 0, 0, -1
	if k.breaks > 0 {
		broken = k.breaks * opened
	}
	for first := true; ; first = false {
		k.mu.Lock()
		file, grown, current := k.files[id], k.grown, k.current[pod] == id
		k.mu.Unlock()
		if first && o.TailLines != nil {
			next = max(0, len(file)-int(*o.TailLines))
		}
		for ; next < len(file); next++ {
			line := file[next]
			if o.SinceTime != nil && line.time.Before(o.SinceTime.Truncate(time.Second)) {
				continue
			}
			if sent == broken {
				w.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
			if _, err := fmt.Fprintf(w, "%s %s\n", line.time.Format("2006-01-02T15:04:05.000000000Z07:00"), line.data); err != nil {
				return
			}
			sent++
		}
		if !o.Follow || !current {
			w.Close()
			return
		}
		select {
		case <-grown:
		case <-ctx.Done():
			w.CloseWithError(ctx.Err())
			return
		}
	}
}

// heard collects what a query hands over.
type heard struct {
	mu     sync.Mutex
	blocks []runtime.LogBlock
	grown  chan struct{}
}

func (h *heard) add(b runtime.LogBlock) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	b.Data = append([]byte(nil), b.Data...)
	h.blocks = append(h.blocks, b)
	close(h.grown)
	h.grown = make(chan struct{})
	return nil
}

func (h *heard) text() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, b := range h.blocks {
		all = append(all, strings.TrimSuffix(string(b.Data), "\n"))
	}
	return strings.Join(all, " ")
}

func (h *heard) wait(t *testing.T, want string) {
	t.Helper()
	limit := time.After(20 * time.Second)
	for h.text() != want {
		h.mu.Lock()
		grown := h.grown
		h.mu.Unlock()
		if h.text() == want {
			return
		}
		select {
		case <-grown:
		case <-limit:
			t.Fatalf("got  %q\nwant %q", h.text(), want)
		}
	}
}

func query(q runtime.LogQuery) runtime.LogQuery {
	q.Environment, q.Project, q.Service = web1.Environment, web1.Project, web1.Service
	return q
}

// ask reads all there is.
func ask(t *testing.T, s *stage, k *kubelet, q runtime.LogQuery) (*heard, error) {
	t.Helper()
	h := &heard{grown: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return h, (&logReader{pods: s, open: k.open, query: query(q)}).read(ctx, h.add)
}

// listen follows until the test ends.
func listen(t *testing.T, s *stage, k *kubelet, q runtime.LogQuery) *heard {
	h := &heard{grown: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	q.Follow = true
	go func() { done <- (&logReader{pods: s, open: k.open, query: query(q)}).read(ctx, h.add) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("following ended with %v", err)
		}
	})
	return h
}

func TestLogsOfAllReplicasInOrder(t *testing.T) {
	k := newKubelet()
	k.write("a", 0, "a0")
	k.write("a", 20, "a20")
	k.write("b", 10, "b10")
	k.write("b", 30, "b30", "")
	s := newStage(podOf("a", 0), podOf("b", 1))
	h, err := ask(t, s, k, runtime.LogQuery{})
	if err != nil || h.text() != "a0 b10 a20 b30 " {
		t.Fatalf("%q, %v", h.text(), err)
	}
	for i, b := range h.blocks {
		if i > 0 && b.Offset < h.blocks[i-1].Offset+int64(len(h.blocks[i-1].Data)) {
			t.Errorf("block %d begins before the one before it ends", i)
		}
	}
	if b := h.blocks[1]; b.Instance != (runtime.InstanceID{ID: web1, Replica: 1, Attempt: 1}) || !b.Time.Equal(at(10)) || b.Stream != runtime.StreamUnknown {
		t.Errorf("%+v", b)
	}
	resumed, err := ask(t, s, k, runtime.LogQuery{Offset: h.blocks[1].Offset + int64(len(h.blocks[1].Data))})
	if err != nil || resumed.text() != "a20 b30 " {
		t.Errorf("from an offset: %q, %v", resumed.text(), err)
	}
}

func TestLogsThatAreAskedFor(t *testing.T) {
	k := newKubelet()
	for i := range 10 {
		k.write("a", i*400, fmt.Sprint("a", i))
		k.write("b", i*400+1, fmt.Sprint("b", i, "\r"))
	}
	s := newStage(podOf("a", 0), podOf("b", 1))
	for _, c := range []struct {
		name  string
		query runtime.LogQuery
		want  string
	}{
		{"last", runtime.LogQuery{Last: 3}, "b8\r a9 b9\r"},
		{"since", runtime.LogQuery{Since: at(3201)}, "b8\r a9 b9\r"},
		{"until", runtime.LogQuery{Until: at(401)}, "a0 b0\r a1"},
		{"last until", runtime.LogQuery{Until: at(401), Last: 1}, "a1"},
		{"match", runtime.LogQuery{Match: "^b[12]$"}, "b1\r b2\r "},
		{"last match", runtime.LogQuery{Match: "^a", Last: 2}, "a8 a9 "},
		{"generation", runtime.LogQuery{Generation: 2}, ""},
		{"terminal", runtime.LogQuery{Stream: runtime.StreamTerminal}, ""},
	} {
		if h, err := ask(t, s, k, c.query); err != nil || h.text() != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, h.text(), err, c.want)
		}
	}
	if h, err := ask(t, s, k, runtime.LogQuery{Match: "nothing"}); err != nil || len(h.blocks) != 1 || h.blocks[0].Offset != at(3601).UnixNano()+1 {
		t.Errorf("where reading ended: %+v, %v", h.blocks, err)
	}
}

func TestLogsRefused(t *testing.T) {
	s, k := newStage(), newKubelet()
	for _, c := range []struct {
		query runtime.LogQuery
		class error
	}{
		{runtime.LogQuery{Match: "("}, runtime.Invalid},
		{runtime.LogQuery{Stream: runtime.StreamStderr}, runtime.Unsupported},
		{runtime.LogQuery{}, nil},
	} {
		if _, err := ask(t, s, k, c.query); runtime.Class(err) != c.class {
			t.Errorf("%+v: %v", c.query, err)
		}
	}
	reader := &logReader{pods: s, open: k.open, query: runtime.LogQuery{Service: "stranger"}}
	if err := reader.read(t.Context(), func(runtime.LogBlock) error { return nil }); runtime.Class(err) != runtime.NotFound {
		t.Errorf("a stranger: %v", err)
	}
}

func TestFollowAcrossARestart(t *testing.T) {
	k := newKubelet()
	pod := podOf("a", 0)
	s := newStage(pod)
	k.write("a", 0, "one")
	h := listen(t, s, k, runtime.LogQuery{})
	h.wait(t, "one")
	k.write("a", 10, "two")
	h.wait(t, "one two")

	// it writes more, ends, and begins anew before anybody looks
	k.write("a", 20, "three")
	k.restart("a", "a#1")
	k.write("a", 2000, "four")
	s.set(pod.change(func(c *corev1.ContainerStatus) {
		c.LastTerminationState.Terminated = endedAt("a#0", at(20))
		c.ContainerID, c.RestartCount = "a#1", 1
	}))
	h.wait(t, "one two three four")
	if b := h.blocks[3]; b.Instance.Attempt != 2 {
		t.Errorf("%+v", b)
	}

	// two runs come and go unseen
	k.restart("a", "a#2")
	k.restart("a", "a#3")
	k.write("a", 5000, "five")
	s.set(pod.change(func(c *corev1.ContainerStatus) {
		c.LastTerminationState.Terminated = endedAt("a#2", at(4000))
		c.ContainerID, c.RestartCount = "a#3", 3
	}))
	h.wait(t, "one two three four five")
}

// While it waits for its next start, the current log is that of the run before.
func TestFollowThroughABackoff(t *testing.T) {
	k := newKubelet()
	pod := podOf("a", 0)
	k.write("a", 0, "one")
	s := newStage(pod.change(func(c *corev1.ContainerStatus) {
		c.State = corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
		c.LastTerminationState.Terminated = endedAt("a#0", at(0))
	}))
	h := listen(t, s, k, runtime.LogQuery{})
	h.wait(t, "one")
	k.restart("a", "a#1")
	k.write("a", 3000, "two")
	s.set(pod.change(func(c *corev1.ContainerStatus) {
		c.LastTerminationState.Terminated = endedAt("a#0", at(0))
		c.ContainerID, c.RestartCount = "a#1", 1
	}))
	h.wait(t, "one two")
	if h.blocks[0].Instance.Attempt != 1 || h.blocks[1].Instance.Attempt != 2 {
		t.Errorf("attempts %d and %d", h.blocks[0].Instance.Attempt, h.blocks[1].Instance.Attempt)
	}
}

func TestRunsNobodyCouldReadAreTold(t *testing.T) {
	k := newKubelet()
	pod := podOf("a", 0)
	s := newStage(pod)
	k.write("a", 0, "one")
	h := listen(t, s, k, runtime.LogQuery{})
	h.wait(t, "one")
	for i := 1; i <= 3; i++ {
		k.restart("a", fmt.Sprint("a#", i))
	}
	s.set(pod.change(func(c *corev1.ContainerStatus) {
		c.LastTerminationState.Terminated = endedAt("a#2", at(8000))
		c.ContainerID, c.RestartCount = "a#3", 3
	}))
	const told = "one [stead] the output of 1 runs before this one is lost: the cluster does not keep it"
	h.wait(t, told)
	k.write("a", 9000, "late") // only now: a kubelet may show a line before the cluster tells of its run
	h.wait(t, told+" late")
}

func TestReconnectWithoutLossOrRepeats(t *testing.T) {
	for _, last := range []int{0, 4} {
		k := newKubelet()
		k.breaks = 7
		s := newStage(podOf("a", 0))
		var want []string
		for i := range 30 { // three to a millisecond, and not quite in order
			text := fmt.Sprint("l", i)
			k.write("a", 990+i/3-i%2, text)
			want = append(want, text)
		}
		if last > 0 {
			want = want[len(want)-last:]
		}
		h := listen(t, s, k, runtime.LogQuery{Last: last})
		h.wait(t, strings.Join(want, " "))
		for i := range 20 {
			text := fmt.Sprint("m", i)
			k.write("a", 1000+i, text)
			want = append(want, text)
			if i%5 == 4 {
				h.wait(t, strings.Join(want, " "))
			}
		}
	}
}

func TestPodsComeAndGoWhileTheyAreFollowed(t *testing.T) {
	k := newKubelet()
	a, b := podOf("a", 0), podOf("b", 1)
	s := newStage(a)
	k.write("a", 0, "a")
	h := listen(t, s, k, runtime.LogQuery{})
	h.wait(t, "a")
	k.write("b", 10, "b")
	s.set(a, b)
	h.wait(t, "a b")
	k.mu.Lock()
	delete(k.current, "a")
	k.mu.Unlock()
	s.set(b)
	k.write("b", 20, "b2")
	h.wait(t, "a b b2")
}

func TestALineThatIsVeryLong(t *testing.T) {
	k := newKubelet()
	long := strings.Repeat("x", runtime.MaxLine+100)
	k.write("a", 0, long, "short")
	h, err := ask(t, newStage(podOf("a", 0)), k, runtime.LogQuery{})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.blocks) != 3 || len(h.blocks[0].Data) < runtime.MaxLine-100 || // the time takes some
		string(h.blocks[0].Data)+string(h.blocks[1].Data) != long+"\n" {
		t.Errorf("%d blocks", len(h.blocks))
	}
}
