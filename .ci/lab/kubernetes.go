package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// node is a cluster of one machine, as bin/tools/clustertest shows it.
type node struct {
	Name, Kubeconfig, Kubectl, Audit, Containerd string
}

// clusterOf starts a cluster of its own. It takes what `make cluster-build` has
// built.
func clusterOf(o options) (*node, func(), error) {
	tool, name := filepath.Join(o.bin, "tools", "clustertest"), "lab"
	up := exec.Command(tool, "up", "-tier", "node", "-name", name, "-linger", "30m", "-json")
	up.Stderr = os.Stderr
	out, err := up.Output()
	if err != nil {
		return nil, nil, fmt.Errorf("%s up: %w", tool, err)
	}
	var n node
	if err := json.Unmarshal(out, &n); err != nil {
		return nil, nil, fmt.Errorf("%s up: %w", tool, err)
	}
	return &n, func() { _ = exec.Command(tool, "down", "-name", name).Run() }, nil
}

func (n *node) kubectl(in []byte, args ...string) (string, error) {
	c := exec.Command(n.Kubectl, args...)
	c.Env = append(os.Environ(), "KUBECONFIG="+n.Kubeconfig)
	c.Stdin = bytes.NewReader(in)
	out, err := c.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// kubernetes: the shop in a cluster, by `stead up` and by kubectl with the same
// objects; and what of a reload there is stead's own.
func kubernetes(o options, v *verdicts) error {
	n, end, err := clusterOf(o)
	if err != nil {
		return err
	}
	defer end()
	s, err := newStead(o, "")
	if err != nil {
		return err
	}
	defer func() { _, _, _ = s.end() }()
	if err := os.Remove(filepath.Join(s.dir, "stead.yaml")); err != nil {
		return err
	}
	if err := os.CopyFS(s.dir, os.DirFS(filepath.Join("testdata", "shop"))); err != nil {
		return err
	}
	cache, err := exec.Command("go", "env", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		return err
	}
	dirs := strings.Fields(string(cache))
	s.env = append(s.env, "KUBECONFIG="+n.Kubeconfig, "CONTAINERD="+n.Containerd, "GOCACHE="+dirs[0], "GOMODCACHE="+dirs[1])
	defer func() { _, _ = s.run("--env", "dev", "daemon", "stop", "--services") }()
	if _, err := s.output("--env", "dev", "build", "--yes"); err != nil {
		return err
	}
	if err := shopTimes(o, v, s, n); err != nil {
		return err
	}
	return shopReloads(o, v, s, n)
}

func shopTimes(o options, v *verdicts, s *stead, n *node) error {
	rendered, err := s.output("--env", "dev", "render", "--show-secrets")
	if err != nil {
		return err
	}
	objects := strings.Split(string(rendered), "\n---\n")
	var ours, bare, ordered sample
	ways := []struct {
		took *sample
		do   func() error
	}{
		{&ours, func() error {
			_, err := s.run("--env", "dev", "up", "-d", "--yes")
			return err
		}},
		{&bare, func() error { return n.withNamespace(func() error { return n.apply(objects) }) }},
		{&ordered, func() error { return n.withNamespace(func() error { return n.applyInOrder(objects) }) }},
	}
	for round := range o.rounds + 1 {
		for _, way := range ways {
			took, err := n.anew(way.do)
			if err != nil {
				return err
			}
			if round > 0 { // before, the node has not run any of the images
				*way.took = append(*way.took, took)
			}
			if _, err := s.run("--env", "dev", "down", "--yes"); err != nil {
				return err
			}
		}
	}
	plain := float64(ours.percentile(50)) / float64(bare.percentile(50))
	inOrder := float64(ours.percentile(50)) / float64(ordered.percentile(50))
	fmt.Printf("the shop in a cluster, until all is ready\n  kubectl apply, rollout status, wait         %v\n  the same, service by service as depends_on  %v\n  stead up                                    %v\n  ratios %.2f, %.2f\n",
		bare, ordered, ours, plain, inOrder)
	v.check("stead up <= 1.2 x kubectl", plain <= 1.2)
	v.check("stead up <= 1.2 x kubectl in the order of depends_on", inOrder <= 1.2)
	return nil
}

// anew measures what is done where there is no namespace shop, and the node has
// done with what was in it.
func (n *node) anew(do func() error) (time.Duration, error) {
	if _, err := n.kubectl(nil, "delete", "namespace", "shop", "--wait", "--ignore-not-found"); err != nil {
		return 0, err
	}
	// A kubelet looks at its containers, and probes them, once a second: each
	// time is to begin elsewhere in that.
	time.Sleep(3*time.Second + rand.N(time.Second))
	began := time.Now()
	err := do()
	return time.Since(began), err
}

// withNamespace makes what stead makes, too, when it is not there.
func (n *node) withNamespace(do func() error) error {
	if _, err := n.kubectl(nil, "create", "namespace", "shop"); err != nil {
		return err
	}
	return do()
}

// output is what a call prints, without what it says besides.
func (s *stead) output(args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	c := s.command(ctx, "stead", args...)
	var said bytes.Buffer
	c.Stderr = &said
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("stead %s: %w\n%s", strings.Join(args, " "), err, said.Bytes())
	}
	return out, err
}

// apply is what a person would do, and waits until all of it is ready.
func (n *node) apply(objects []string) error {
	if _, err := n.kubectl([]byte(strings.Join(objects, "\n---\n")), "apply", "-f", "-"); err != nil {
		return err
	}
	for _, kind := range []string{"deployment", "job"} {
		names, err := n.kubectl(nil, "-n", "shop", "get", kind, "-o", "name")
		if err != nil {
			return err
		}
		for _, name := range strings.Fields(names) {
			if err := n.await(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *node) await(name string) error {
	args := []string{"-n", "shop", "rollout", "status", "--timeout=1m", name}
	if strings.HasPrefix(name, "job") {
		args = []string{"-n", "shop", "wait", "--for=condition=complete", "--timeout=1m", name}
	}
	_, err := n.kubectl(nil, args...)
	return err
}

// shopServices are those of testdata/shop, and what each waits for there.
var shopServices = map[string][]string{
	"migrate": nil, "cart": nil, "worker": nil, "shell": nil,
	"catalog": nil, "web": {"catalog", "cart"},
}

// applyInOrder does what depends_on says: all at once, but for what has to wait.
func (n *node) applyInOrder(objects []string) error {
	ready := map[string]chan struct{}{}
	for name := range shopServices {
		ready[name] = make(chan struct{})
	}
	g, ctx := errgroup.WithContext(context.Background())
	for name, needs := range shopServices {
		g.Go(func() error {
			for _, one := range needs {
				select {
				case <-ready[one]:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			out, err := n.kubectl([]byte(strings.Join(objectsOf(objects, name), "\n---\n")), "-n", "shop", "apply", "-o", "name", "-f", "-")
			if err != nil {
				return err
			}
			for _, made := range strings.Fields(out) {
				if !strings.HasPrefix(made, "deployment") && !strings.HasPrefix(made, "job") {
					continue
				}
				if err := n.await(made); err != nil {
					return err
				}
			}
			close(ready[name])
			return nil
		})
	}
	return g.Wait()
}

func objectsOf(objects []string, service string) []string {
	var theirs []string
	for _, o := range objects {
		if strings.Contains(o, "/service: "+service+"\n") {
			theirs = append(theirs, o)
		}
	}
	return theirs
}

// shopEvent is a line of stead events --output json.
type shopEvent struct {
	Time       time.Time
	Service    string
	Generation int
	Kind, Text string
}

// clusterReloads are enough: a pod takes its seconds.
const clusterReloads = 10

func shopReloads(o options, v *verdicts, s *stead, n *node) error {
	if _, err := s.run("--env", "dev", "up", "-d", "--yes"); err != nil {
		return err
	}
	events, end, err := s.happenings()
	if err != nil {
		return err
	}
	defer end()
	var own, made, moved, whole sample
	for i := range clusterReloads {
		time.Sleep(2 * time.Second) // until the node has done with the one before
		began := time.Now()
		text := fmt.Sprintf("package main\n\nvar edit = \"%d\"\n\nfunc init() { println(edit) }\n", i)
		if err := os.WriteFile(filepath.Join(s.dir, "web", "edit.go"), []byte(text), 0o644); err != nil {
			return err
		}
		built, ready, err := reloadOf("web", events, began)
		if err != nil {
			return err
		}
		accepted, selected, err := n.writes(began)
		for end := time.Now().Add(patience); err != nil && time.Now().Before(end); <-time.After(100 * time.Millisecond) {
			accepted, selected, err = n.writes(began) // the log is written in pieces
		}
		if err != nil {
			return err
		}
		made, moved = append(made, accepted.Sub(built)), append(moved, selected.Sub(ready))
		own, whole = append(own, accepted.Sub(built)+selected.Sub(ready)), append(whole, selected.Sub(began))
	}
	fmt.Printf("a one-line change in a cluster\n  save -> its pod gets the traffic   %v\n  build end -> apply accepted        %v\n  Ready seen -> selector moved       %v\n  stead's own share                  %v\n", whole, made, moved, own)
	v.check("stead's own share < 300 ms", own.percentile(50) < 300*time.Millisecond)
	return nil
}

// happenings follows the events of the project.
func (s *stead) happenings() (*json.Decoder, func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), clusterReloads*patience)
	cmd := s.command(ctx, "stead", "--env", "dev", "events", "-f", "--output", "json")
	end := func() {
		cancel()
		_ = cmd.Wait()
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return json.NewDecoder(out), end, cmd.Start()
}

// reloadOf waits for the reload that began then, and returns when its build was
// over and when it was seen to be ready.
func reloadOf(service string, events *json.Decoder, began time.Time) (built, ready time.Time, err error) {
	for {
		var e shopEvent
		if err := events.Decode(&e); err != nil {
			return built, ready, errors.Join(errors.New("it is not reloaded"), err)
		}
		if e.Service != service || e.Time.Before(began) {
			continue
		}
		if e.Kind == "exit" && !built.IsZero() && !ready.IsZero() { // the one before is gone
			return built, ready, nil
		}
		if e.Kind != "phase" {
			continue
		}
		switch e.Text {
		case "starting":
			built = e.Time
		case "ready":
			ready = e.Time
		}
	}
}

// writes returns when the newest Deployment was accepted, and when the Service
// was last changed, since then: both by the API server's own log.
func (n *node) writes(since time.Time) (accepted, selected time.Time, err error) {
	text, err := os.ReadFile(n.Audit)
	if err != nil {
		return accepted, selected, err
	}
	for line := range bytes.SplitSeq(text, []byte("\n")) {
		var e struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Subresource, Namespace, Name string }
			StageTimestamp  time.Time
			ResponseStatus  struct{ Code int }
		}
		if json.Unmarshal(line, &e) != nil || e.ObjectRef.Namespace != "shop" || e.ObjectRef.Subresource != "" || !strings.HasPrefix(e.UserAgent, "stead") || e.StageTimestamp.Before(since) || e.Verb != "patch" {
			continue
		}
		switch {
		case e.ObjectRef.Resource == "deployments" && e.ResponseStatus.Code == 201:
			accepted = e.StageTimestamp
		case e.ObjectRef.Resource == "services" && e.ObjectRef.Name == "web":
			selected = e.StageTimestamp
		}
	}
	if slices.ContainsFunc([]time.Time{accepted, selected}, time.Time.IsZero) {
		return accepted, selected, errors.New("the audit log has no such writes")
	}
	return accepted, selected, nil
}
