package process

import (
	"reflect"
	"sync"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// keeper keeps one generation alive. All of its fields but box and screens
// belong to whoever works for it (work), or never change.
type keeper struct {
	r        *Runtime
	spec     *runtime.Spec
	hash     string
	box      mailbox
	timer    *time.Timer // posts factTimer; nil: none was needed yet
	state    *keep
	out      Writer
	signal   syscall.Signal
	running  map[int]*instance // by replica
	screens  screens           // of what runs, for those who attach
	ports    []map[string]int  // by replica: private ports, kept from attempt to attempt
	path     string            // snapshot of the executable, "" for none
	tried    bool              // to make the snapshot
	told     runtime.GenerationStatus
	finished chan struct{} // closed at the end
}

// mailbox takes facts for one keeper. What is in it is bounded by the
// generation's instances and the callers of Stop.
type mailbox struct {
	mu     sync.Mutex
	facts  []fact
	worked bool // somebody works for the keeper; at its end nobody does, for good
}

// put adds a fact, and reports whether it needs somebody to work.
func (b *mailbox) put(f fact) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.facts = append(b.facts, f)
	idle := !b.worked
	b.worked = true
	return idle
}

// take returns all facts. When there are none, nobody works from then on.
func (b *mailbox) take() []fact {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := b.facts
	b.facts, b.worked = nil, len(all) > 0
	return all
}

func newKeeper(r *Runtime, spec *runtime.Spec, hash string) *keeper {
	k := &keeper{
		r: r, spec: spec, hash: hash, state: newKeep(spec),
		running: map[int]*instance{}, finished: make(chan struct{}),
	}
	k.signal, _ = signalNamed(spec.Stop.Signal)
	k.ports = make([]map[string]int, len(k.state.replicas))
	service := spec.Log
	if service == "" {
		service = spec.ID.Service
	}
	k.out = r.options.Logs.Writer(spec.ID.Environment, spec.ID.Project, service)
	return k
}

// post has f handled after all that was posted before, one at a time.
func (k *keeper) post(f fact) {
	if k.box.put(f) {
		go k.work() // ends when nothing is posted any more
	}
}

// work feeds facts to the step. An idle keeper has no goroutine: each would
// keep the stack that a start needs, and there are a thousand of them.
func (k *keeper) work() {
	for facts := k.box.take(); len(facts) > 0; facts = k.box.take() {
		for _, f := range facts {
			k.handle(f)
		}
		if k.state.final() {
			k.end()
			return // what comes later is nobody's: the mailbox stays worked
		}
		k.setTimer()
	}
}

// setTimer has the step called when something is due.
func (k *keeper) setTimer() {
	if k.timer != nil {
		k.timer.Stop() // should it be too late for that, nothing is due then
	}
	next := k.state.next()
	if next.IsZero() {
		return
	}
	if wait := next.Sub(k.r.now()); k.timer == nil {
		k.timer = time.AfterFunc(wait, func() { k.post(fact{kind: factTimer}) })
	} else {
		k.timer.Reset(wait)
	}
}

// end is called once, when the generation has ended.
func (k *keeper) end() {
	if k.timer != nil {
		k.timer.Stop()
	}
	if len(k.spec.Sockets) > 0 {
		k.r.listeners.let(k.spec.ID)
	}
	k.out.Close()
	close(k.finished)
	k.r.work.Done()
}

// handle tells the world of f, steps, and does what is decided, which may
// make further facts at once.
func (k *keeper) handle(f fact) {
	for queue := []fact{f}; len(queue) > 0; queue = queue[1:] {
		f := queue[0]
		k.tell(&f)
		decisions := k.state.step(k.r.now(), f)
		k.note(f)
		k.publish()
		for _, d := range decisions {
			queue = append(queue, k.do(d)...)
		}
	}
}

// tell puts f into the journal, if it is about an instance.
func (k *keeper) tell(f *fact) {
	id := k.instanceID(f.replica, f.attempt)
	in := k.running[f.replica]
	switch f.kind {
	case factProbed:
		if in == nil || in.id != id {
			return // it ended meanwhile
		}
		if !f.readiness.Ready && !in.wasReady && k.r.now().Sub(in.began) < unreadyAfter {
			return // it has hardly begun
		}
		in.wasReady = in.wasReady || f.readiness.Ready
		k.r.journal.Ready(id, f.readiness)
	case factExited:
		if in != nil {
			f.exit.Ready = in.wasReady
			if f.exit.Error == "" {
				f.exit.Error = in.why
			}
			delete(k.running, f.replica)
			k.screens.set(f.replica, nil)
			k.r.records.exit(id, f.exit)
		}
		k.r.journal.Exited(id, f.exit)
	}
}

// note writes into the service's log what its reader would wonder about.
func (k *keeper) note(f fact) {
	if f.kind != factExited || k.state.stopped || f.exit.Success() && f.exit.Leftovers == 0 {
		return
	}
	text := describe(f.exit)
	if r := &k.state.replicas[f.replica]; r.phase == replicaWaiting {
		text += "; starts again in " + max(r.until.Sub(k.r.now()), 0).Round(time.Millisecond).String()
	}
	k.out.Note(k.instanceID(f.replica, f.attempt), text)
}

// publish tells of the generation as a whole when that has changed.
func (k *keeper) publish() {
	status := k.state.status()
	status.Hash, status.Handle = k.hash, handle(k.spec.ID)
	if reflect.DeepEqual(status, k.told) {
		return
	}
	k.told = status
	if status.Phase.Final() {
		k.r.records.end(k.spec.ID, status)
	}
	k.r.journal.Generation(k.spec.ID, status)
}

func (k *keeper) do(d decision) []fact {
	in := k.running[d.replica]
	switch {
	case d.kind == decideStart:
		return k.start(d)
	case in == nil || in.id.Attempt != d.attempt:
	case d.kind == decideSignal:
		k.r.children.signal(in.child, k.signal)
		k.r.children.signal(in.child, syscall.SIGCONT) // one that is stopped heeds nothing before
	case d.kind == decideLook:
		return []fact{{kind: factLooked, replica: d.replica, attempt: d.attempt, halted: in.halted() != ""}}
	case d.kind == decideKill:
		in.why = d.why
		k.r.children.signal(in.child, syscall.SIGKILL)
	}
	return nil
}

// start begins an attempt. A start that fails is an exit.
func (k *keeper) start(d decision) []fact {
	id := k.instanceID(d.replica, d.attempt)
	in, err := k.launch(id)
	f := fact{kind: factStarted, replica: d.replica, attempt: d.attempt}
	if err != nil {
		f.kind, f.exit = factExited, runtime.Exit{Code: -1, Error: err.Error()}
		return []fact{f}
	}
	k.running[d.replica] = in
	k.screens.set(d.replica, in)
	k.r.records.start(id, in.child.pid)
	k.r.journal.Started(id, runtime.Started{PID: in.child.pid, Endpoints: endpoints(k.spec, k.ports[d.replica])})
	in.follow(k)
	if k.spec.Ready != nil {
		return []fact{f}
	}
	ready := fact{kind: factProbed, replica: d.replica, attempt: d.attempt, readiness: runtime.Readiness{Ready: true}}
	return []fact{f, ready}
}

func (k *keeper) instanceID(replica, attempt int) runtime.InstanceID {
	return runtime.InstanceID{ID: k.spec.ID, Replica: replica, Attempt: attempt}
}

// takePorts returns the number of each port of replica. A private one stays
// the replica's from attempt to attempt as long as nobody else listens there:
// should the daemon be away when it restarts, the gateway still finds it.
func (k *keeper) takePorts(replica int) (map[string]int, error) {
	numbers := k.ports[replica]
	if numbers == nil {
		numbers = make(map[string]int, len(k.spec.Ports))
		k.ports[replica] = numbers
	}
	for _, p := range k.spec.Ports {
		if p.Number != 0 {
			numbers[p.Name] = p.Number
			continue
		}
		old := numbers[p.Name]
		port, err := k.r.ports.take(old, k.owner())
		if err != nil {
			return nil, err
		}
		if old != 0 && old != port {
			k.r.ports.release(old)
		}
		numbers[p.Name] = port
	}
	return numbers, nil
}

// owner is whose private ports they are, in words for the user.
func (k *keeper) owner() string { return k.spec.ID.Project + "/" + k.spec.ID.Service }

// releasePorts is called when the generation is forgotten, after its end: until
// then whoever was not told of that may still send somebody to its ports.
func (k *keeper) releasePorts() {
	for _, numbers := range k.ports {
		for _, p := range k.spec.Ports {
			if port := numbers[p.Name]; p.Number == 0 && port != 0 {
				k.r.ports.release(port)
			}
		}
	}
}

// executable returns the file to run: what the command means, or the snapshot
// of that, made at the first attempt that found it.
func (k *keeper) executable(env []string) (string, error) {
	if k.path != "" && runnable(k.spec.Command[0], k.path) == nil {
		return k.path, enterable(k.spec.Dir)
	}
	path, err := lookUp(k.spec.Command[0], k.spec.Dir, env)
	if err != nil || !k.spec.Snapshot || k.tried {
		return path, err
	}
	k.tried = true
	if k.path, err = snapshot(k.spec, k.r.options.Dir, path); err != nil {
		k.r.log.Warn("a restart may run a newer build", "gen", k.spec.ID.String(), "err", err)
	}
	if k.path != "" {
		return k.path, nil
	}
	return path, nil
}
