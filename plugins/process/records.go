package process

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

const recordsName = "records"

// records is what this runtime writes down so that the next one, should this
// be killed, can end what it left and say what was lost: a file of JSON lines
// that is only appended to, and replaced by a shorter one now and then. It is
// not synced: it has to survive this process, not a power cut, after which
// there is nothing left to end. A line that was cut short is skipped.
type records struct {
	path string
	head header
	log  *slog.Logger

	mu     sync.Mutex
	file   *os.File
	known  *recorded
	lines  int  // in file
	most   int  // lines at which to look whether they are too many
	broken bool // writing failed, and it has been said
}

// header is the first line: who wrote this.
type header struct {
	Nonce  string `json:"nonce"`
	Boot   string `json:"boot"` // of the machine; pids mean nothing in another
	Cgroup string `json:"cgroup,omitempty"`
}

// record is any other line. Exactly one field is set.
type record struct {
	Generation *generationRecord `json:"generation,omitempty"` // accepted
	Start      *startRecord      `json:"start,omitempty"`
	Exit       *exitRecord       `json:"exit,omitempty"`
	End        *endRecord        `json:"end,omitempty"`
	Forget     *runtime.ID       `json:"forget,omitempty"`
}

// generationRecord is a generation with what is known of it. On disk it has
// exits of its own only after a rewrite.
type generationRecord struct {
	ID       runtime.ID
	Hash     string
	Restarts int                       `json:",omitempty"`
	Exits    []exitRecord              `json:",omitempty"`
	End      *runtime.GenerationStatus `json:",omitempty"` // its final status
	live     []startRecord             // started, not ended; few, where a map has room for eight
}

// drop takes an instance from the live ones.
func (g *generationRecord) drop(instance runtime.InstanceID) {
	g.live = slices.DeleteFunc(g.live, func(s startRecord) bool { return s.Instance == instance })
}

// startRecord is a process, and enough to know it again.
type startRecord struct {
	Instance runtime.InstanceID
	PID      int
	Start    uint64 // its start time, in the kernel's unit
}

type exitRecord struct {
	Instance runtime.InstanceID
	Exit     runtime.Exit
}

type endRecord struct {
	ID     runtime.ID
	Status runtime.GenerationStatus
}

// recorded is the content of such a file.
type recorded struct {
	head        header
	generations []*generationRecord // in the order accepted
	index       map[runtime.ID]*generationRecord
	beside      map[runtime.InstanceID]startRecord // commands run beside services
}

const (
	exitsRecorded = 16   // per generation: what a later runtime tells of the time before
	recordsSlack  = 1024 // lines more than needed before the file is rewritten
)

// readRecords returns what a file says, as far as it can be read.
func readRecords(path string) *recorded {
	k := newRecorded()
	text, err := os.ReadFile(path)
	if err != nil {
		return k
	}
	first, rest, _ := bytes.Cut(text, []byte("\n"))
	if json.Unmarshal(first, &k.head) != nil {
		return k
	}
	for line := range bytes.Lines(rest) {
		var r record
		if json.Unmarshal(line, &r) == nil {
			k.apply(r)
		}
	}
	return k
}

func newRecorded() *recorded {
	return &recorded{index: map[runtime.ID]*generationRecord{}, beside: map[runtime.InstanceID]startRecord{}}
}

// apply adds a line to what is known.
func (k *recorded) apply(r record) {
	switch {
	case r.Generation != nil:
		g := *r.Generation
		g.live = nil
		k.generations = append(k.generations, &g)
		k.index[g.ID] = &g
	case r.Start != nil:
		g := k.index[r.Start.Instance.ID]
		if r.Start.Instance.Replica < 0 || g == nil {
			k.beside[r.Start.Instance] = *r.Start
			return
		}
		g.drop(r.Start.Instance)
		g.live = append(g.live, *r.Start)
		if r.Start.Instance.Attempt > 1 {
			g.Restarts++
		}
	case r.Exit != nil:
		delete(k.beside, r.Exit.Instance)
		if g := k.index[r.Exit.Instance.ID]; g != nil && r.Exit.Instance.Replica >= 0 {
			g.drop(r.Exit.Instance)
			g.Exits = append(g.Exits, *r.Exit)
			g.Exits = g.Exits[max(0, len(g.Exits)-exitsRecorded):]
		}
	case r.End != nil:
		if g := k.index[r.End.ID]; g != nil {
			g.End = &r.End.Status
		}
	case r.Forget != nil:
		g := k.index[*r.Forget]
		delete(k.index, *r.Forget)
		k.generations = slices.DeleteFunc(k.generations, func(one *generationRecord) bool { return one == g })
	}
}

// unfinished returns the generations nobody has forgotten, with an exit for
// each instance that had none.
func (k *recorded) unfinished() []*generationRecord {
	for _, g := range k.generations {
		for _, s := range g.live {
			g.Exits = append(g.Exits, exitRecord{s.Instance, runtime.Exit{Code: -1, Lost: true}})
		}
		g.live = nil
	}
	return k.generations
}

// processes returns every process that was started and not seen to end.
func (k *recorded) processes() []startRecord {
	var all []startRecord
	for _, s := range k.beside {
		all = append(all, s)
	}
	for _, g := range k.generations {
		all = append(all, g.live...)
	}
	return all
}

// createRecords begins a new file with what is still to be told of old ones.
func createRecords(path string, head header, old []*generationRecord, log *slog.Logger) (*records, error) {
	r := &records{path: path, head: head, log: log, known: newRecorded()}
	for _, g := range old {
		r.known.apply(record{Generation: g})
	}
	if err := r.rewrite(); err != nil {
		return nil, fmt.Errorf("process runtime: write records: %w", err)
	}
	return r, nil
}

func (r *records) generation(id runtime.ID, hash string) {
	r.add(record{Generation: &generationRecord{ID: id, Hash: hash}})
}

func (r *records) start(instance runtime.InstanceID, pid int) {
	r.add(record{Start: &startRecord{Instance: instance, PID: pid, Start: startOf(pid)}})
}

func (r *records) exit(instance runtime.InstanceID, e runtime.Exit) {
	r.add(record{Exit: &exitRecord{Instance: instance, Exit: e}})
}

func (r *records) end(id runtime.ID, status runtime.GenerationStatus) {
	r.add(record{End: &endRecord{ID: id, Status: status}})
}

func (r *records) forget(id runtime.ID) { r.add(record{Forget: &id}) }

// add appends one line. A full disk must not stop services: it is said once.
func (r *records) add(one record) {
	line, err := json.Marshal(one)
	if err != nil {
		r.log.Error("record", "err", err)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known.apply(one)
	if r.file == nil {
		return
	}
	if _, err = r.file.Write(append(line, '\n')); err == nil {
		r.lines++
		if r.lines > r.most {
			err = r.shorten()
		}
	}
	if err != nil && !r.broken {
		r.log.Error("write records: what runs now would be lost to a later runtime", "err", err)
	}
	r.broken = err != nil
}

func (k *recorded) size() int {
	n := len(k.beside)
	for _, g := range k.generations {
		n += 1 + len(g.live)
	}
	return n
}

// shorten rewrites the file when that makes it much shorter.
func (r *records) shorten() error {
	if r.most = 2*r.known.size() + recordsSlack; r.lines > r.most {
		return r.rewrite()
	}
	return nil
}

// rewrite replaces the file by one that says the same in fewer lines.
func (r *records) rewrite() error {
	temporary := r.path + ".new"
	file, err := os.OpenFile(temporary, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(file)
	encoder := json.NewEncoder(out)
	err = encoder.Encode(r.head)
	for _, g := range r.known.generations {
		if err == nil {
			err = encoder.Encode(record{Generation: g.withoutLive()})
		}
	}
	for _, s := range r.known.processes() {
		if err == nil {
			err = encoder.Encode(record{Start: &s})
		}
	}
	if err == nil {
		err = out.Flush()
	}
	if err == nil {
		err = os.Rename(temporary, r.path)
	}
	if err != nil {
		file.Close()
		_ = os.Remove(temporary)
		return err
	}
	if r.file != nil {
		r.file.Close()
	}
	r.file, r.lines = file, r.known.size()+1
	return nil
}

// withoutLive leaves out the restarts that are counted by the starts of live
// instances, which follow in the file.
func (g generationRecord) withoutLive() *generationRecord {
	for _, s := range g.live {
		if s.Instance.Attempt > 1 {
			g.Restarts--
		}
	}
	return &g
}

// close ends the file. It stays: exits in it are not all acknowledged.
func (r *records) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.file != nil {
		r.file.Close()
		r.file = nil
	}
}
