package kubernetes

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/stead-dev/stead/runtime"
)

// templateOf returns the pod that a spec is run in.
func templateOf(t *testing.T, spec runtime.Spec) corev1.PodSpec {
	t.Helper()
	objects, err := objectsOf(spec)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range objects {
		if o.kind != "Deployment" {
			continue
		}
		var d struct {
			Spec struct{ Template corev1.PodTemplateSpec }
		}
		if err := yaml.Unmarshal(o.json(), &d); err != nil {
			t.Fatal(err)
		}
		return d.Spec.Template.Spec
	}
	t.Fatal("there is no Deployment")
	return corev1.PodSpec{}
}

// TestProbes: a startup probe is there only where ready is not asked each
// second for good, and an answer may fail to come for the same 30 s.
func TestProbes(t *testing.T) {
	http := runtime.Probe{Kind: runtime.ProbeHTTP, Port: "http", Path: "/ready"}
	with := func(change func(*runtime.Probe)) *runtime.Probe {
		ready := http
		change(&ready)
		return &ready
	}
	for name, c := range map[string]struct {
		ready, live *runtime.Probe
		startup     bool
		every, of   int32 // of readiness: seconds, failures
	}{
		"none":     {},
		"plain":    {ready: &http, every: 1, of: 30},
		"failures": {ready: with(func(p *runtime.Probe) { p.Failures = 2 }), every: 1, of: 20},
		"interval": {ready: with(func(p *runtime.Probe) { p.Interval = 1500 * time.Millisecond }), startup: true, every: 2, of: 3},
		"second":   {ready: with(func(p *runtime.Probe) { p.Interval = time.Second }), every: 1, of: 3},
		"exec":     {ready: &runtime.Probe{Kind: runtime.ProbeExec, Command: []string{"true"}}, startup: true, every: 10, of: 3},
		"live":     {ready: &http, live: &runtime.Probe{Kind: runtime.ProbeTCP, Port: "http"}, startup: true, every: 10, of: 3},
	} {
		t.Run(name, func(t *testing.T) {
			spec := webSpec()
			spec.Ready, spec.Live = c.ready, c.live
			got := templateOf(t, spec).Containers[0]
			if (got.StartupProbe != nil) != c.startup || (got.LivenessProbe != nil) != (c.live != nil) {
				t.Errorf("startup %v, liveness %v", got.StartupProbe, got.LivenessProbe)
			}
			if c.startup && (got.StartupProbe.PeriodSeconds != 1 || got.StartupProbe.FailureThreshold != 90) {
				t.Errorf("startup %v", got.StartupProbe)
			}
			if (got.ReadinessProbe != nil) != (c.ready != nil) {
				t.Fatalf("readiness %v", got.ReadinessProbe)
			}
			if r := got.ReadinessProbe; r != nil && (r.PeriodSeconds != c.every || r.FailureThreshold != c.of) {
				t.Errorf("readiness each %d s, %d failures; want %d, %d", r.PeriodSeconds, r.FailureThreshold, c.every, c.of)
			}
		})
	}
}

// TestSealed: what the image of somebody else brings can only be read.
func TestSealed(t *testing.T) {
	for name, c := range map[string]struct {
		pack   *runtime.Package
		image  string
		sealed bool
	}{
		"made here, upon nothing": {pack: &runtime.Package{Root: "/app"}},
		"made here, upon a base":  {pack: &runtime.Package{Root: "/app", Base: "node:22"}, sealed: true},
		"given":                   {image: "postgres:17", sealed: true},
	} {
		t.Run(name, func(t *testing.T) {
			spec := webSpec()
			spec.Package, spec.Image = c.pack, c.image
			pod := templateOf(t, spec)
			read := pod.Containers[0].SecurityContext.ReadOnlyRootFilesystem
			if sealed := read != nil && *read; sealed != c.sealed || len(pod.Volumes) > 0 != c.sealed || len(pod.Containers[0].VolumeMounts) > 0 != c.sealed {
				t.Errorf("only to be read: %v, volumes %v", sealed, pod.Volumes)
			}
		})
	}
}
