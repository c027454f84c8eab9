package kubernetes

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes/image"
	"github.com/stead-dev/stead/runtime"
)

// plan is a spec with all that is decided before objects are made of it.
type plan struct {
	spec     runtime.Spec // its command as it is in the image
	hash     string       // of the spec that was given
	command  []string     // of that: what is packed is found by it
	image    string
	ports    []port
	replicas int32 // to begin with
	job      bool
	survey   survey // the last one; zero: none
}

// port is a runtime.Port whose numbers are known.
type port struct {
	Name      string
	Container int32 // where the container listens
	Published int32 // of the Service
}

// record is what the runtime has to know of a generation later on. It is kept
// with the generation's object; values of variables are not in it.
type record struct {
	ID           runtime.ID
	Log          string `json:",omitempty"`
	Ports        []port `json:",omitempty"`
	Restart      runtime.Restart
	Stop         runtime.Stop
	Ready        bool          `json:",omitempty"` // there is a probe
	ReadyTimeout time.Duration `json:",omitempty"`
	LiveFailures int           `json:",omitempty"` // 0: there is no liveness probe
	SuccessCodes []int         `json:",omitempty"`
	Trial        bool          `json:",omitempty"`
	Terminal     bool          `json:",omitempty"`
	OneShot      bool          `json:",omitempty"`
	Dir          string        `json:",omitempty"` // in the container; empty: the image's

	Service json.RawMessage `json:",omitempty"` // the user's patch of the Service, which Route makes
}

// firstPort is the first that a container is given where nobody named one.
const firstPort = 8080

func newPlan(spec runtime.Spec, reference string) (*plan, error) {
	hash, given := spec.Hash(), spec.Command
	if spec.Package != nil {
		command, err := image.Command(spec)
		if err != nil {
			return nil, err
		}
		spec.Command = command
	}
	p := &plan{spec: spec, hash: hash, command: given, image: reference, replicas: int32(spec.Replicas), job: isJob(&spec)}
	taken := map[int]bool{}
	for _, one := range spec.Ports {
		taken[one.Number] = true
	}
	next := firstPort
	for _, one := range spec.Ports {
		for one.Number == 0 {
			if !taken[next] {
				one.Number = next
				taken[next] = true
			}
			next++
		}
		p.ports = append(p.ports, port{Name: one.Name, Container: int32(one.Number), Published: int32(cmp.Or(one.Published, one.Number))})
	}
	return p, nil
}

// isJob says whether a generation ends by itself. What is to be restarted when
// it fails, and is no one-shot, is a Deployment: the cluster moves and scales
// that; the ledger ends it should it end well.
func isJob(spec *runtime.Spec) bool {
	return spec.OneShot || spec.Restart.Policy == runtime.RestartNo || spec.Restart.Policy == ""
}

// kind of the generation's object.
func (p *plan) kind() string {
	if p.job {
		return "Job"
	}
	return "Deployment"
}

func (p *plan) record() record {
	r := record{
		ID: p.spec.ID, Log: p.spec.Log, Ports: p.ports, Restart: p.spec.Restart, Stop: p.spec.Stop,
		Ready: p.spec.Ready != nil, ReadyTimeout: p.spec.ReadyTimeout, SuccessCodes: p.spec.SuccessCodes,
		Trial: p.spec.Trial, Terminal: p.spec.Terminal, OneShot: p.spec.OneShot, Dir: p.workingDir(),
	}
	if patches, err := parsePatch(p.spec.Patch); err == nil { // objects has looked at it
		r.Service = patches["Service"]
	}
	if p.spec.Live != nil {
		r.LiveFailures = cmp.Or(p.spec.Live.Failures, 3)
	}
	return r
}

func (p *plan) workingDir() string {
	if p.spec.Package == nil {
		return ""
	}
	return p.spec.Package.Root
}

func (p *plan) port(name string) int32 {
	for _, one := range p.ports {
		if one.Name == name {
			return one.Container
		}
	}
	return 0
}

// text is the record as it is kept.
func (r record) text() string {
	text, err := json.Marshal(r)
	if err != nil {
		panic("kubernetes: a record that JSON cannot carry: " + err.Error()) // cannot happen: strings and numbers only
	}
	return string(text)
}

func parseRecord(text string) (record, error) {
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		return r, fmt.Errorf("annotation %s: %w", annotationSpec, err)
	}
	return r, nil
}
