package suite_test

import (
	"context"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/cluster"
	"github.com/stead-dev/stead/plugins/kubernetes/suite"
	"github.com/stead-dev/stead/runtime"
)

// asked are the rights that were used: "patch apps/deployments".
type asked struct {
	mu     sync.Mutex
	rights map[string]bool
}

func (a *asked) has(right string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.rights[right]
}

// RoundTrip notes what a request needs, as RBAC names it.
type roundTrip struct {
	next http.RoundTripper
	to   *asked
}

func (r roundTrip) RoundTrip(req *http.Request) (*http.Response, error) {
	if right := rightOf(req); right != "" {
		r.to.mu.Lock()
		r.to.rights[right] = true
		if verb, resource, _ := strings.Cut(right, " "); verb == "patch" && strings.Contains(req.Header.Get("Content-Type"), "apply-patch") {
			r.to.rights["create "+resource] = true // of what is not there yet
		}
		r.to.mu.Unlock()
	}
	return r.next.RoundTrip(req)
}

func rightOf(req *http.Request) string {
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	group := ""
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		group, parts = parts[1]+"/", parts[3:]
	default:
		return "" // discovery
	}
	if parts[0] == "namespaces" && len(parts) > 2 {
		parts = parts[2:]
	}
	verb := map[string]string{"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[req.Method]
	if verb == "get" && len(parts) == 1 {
		verb = "list"
		if req.URL.Query().Get("watch") != "" {
			verb = "watch"
		}
	}
	resource := parts[0]
	if len(parts) == 3 {
		resource += "/" + parts[2]
	}
	return verb + " " + group + resource
}

// granted are the rights of the Role that is shipped.
func granted(t *testing.T) (rbacv1.Role, []string) {
	text, err := os.ReadFile("../../../packaging/kubernetes/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.Role
	if err := yaml.UnmarshalStrict(text, &role); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, rule := range role.Rules {
		group := rule.APIGroups[0]
		if group != "" {
			group += "/"
		}
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				all = append(all, verb+" "+group+resource)
			}
		}
	}
	return role, all
}

// account makes a service account that has the Role and nothing else, and
// returns a client that is it.
func account(t *testing.T, kubeconfig string, to *asked) (client.Interface, *rest.Config, string) {
	admin, config, err := kubernetes.Connect(kubernetes.Target{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	namespace, role := suite.Namespace(t, admin), rbacv1.Role{}
	role, _ = granted(t)
	named := metav1.ObjectMeta{Name: "stead"}
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	create := metav1.CreateOptions{}
	must(admin.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, create))
	must(admin.CoreV1().ServiceAccounts(namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: named}, create))
	must(admin.RbacV1().Roles(namespace).Create(t.Context(), &role, create))
	must(admin.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: named, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "stead"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Name: "stead", Namespace: namespace}},
	}, create))
	token, err := admin.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), "stead", &authenticationv1.TokenRequest{}, create)
	if err != nil {
		t.Fatal(err)
	}
	own := rest.AnonymousClientConfig(config)
	own.BearerToken, own.QPS, own.Burst = token.Status.Token, config.QPS, config.Burst
	own.Wrap(func(next http.RoundTripper) http.RoundTripper { return roundTrip{next, to} })
	c, err := client.NewForConfig(own)
	if err != nil {
		t.Fatal(err)
	}
	return c, own, namespace
}

// impliedRights are used, but not by a request of that name.
var impliedRights = map[string]string{
	"create pods/exec":         "the API server asks for it beside get where a connection is upgraded",
	"create pods/attach":       "likewise",
	"create pods/portforward":  "likewise",
	"get pods/attach":          "for services with a terminal",
	"list metrics.k8s.io/pods": "where there is a metrics API",
	"list pods":                "where the API server does not stream the first list", "list events": "likewise",
	"list discovery.k8s.io/endpointslices": "likewise", "list coordination.k8s.io/leases": "likewise",
	"get persistentvolumeclaims":    "for services with data",
	"patch persistentvolumeclaims":  "likewise",
	"create persistentvolumeclaims": "likewise",
}

// TestLeastRights: with the Role that is shipped the runtime can do all that it
// does, and there is nothing in it that it does not use.
func TestLeastRights(t *testing.T) {
	kubeconfig := cluster.Node(t)
	guest := suite.Load(t, cluster.Of(t, kubeconfig))
	used := &asked{rights: map[string]bool{}}
	c, config, namespace := account(t, kubeconfig, used)
	r, err := kubernetes.New(kubernetes.Options{
		Client: c, Config: config, Namespace: namespace, Environment: "staging", Project: "shop", Packer: suite.Loaded(guest),
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)), Nonce: rand.Text(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	exercise(t, r, guest, used)

	_, all := granted(t)
	used.mu.Lock()
	defer used.mu.Unlock()
	for _, right := range all {
		if !used.rights[right] && impliedRights[right] == "" {
			t.Errorf("the Role grants %q, which nothing uses", right)
		}
	}
	for right := range used.rights {
		if !slices.Contains(all, right) && right != "get namespaces" { // asked, and done without
			t.Errorf("%q is used, and the Role does not grant it", right)
		}
	}
}

// exercise has a runtime do each thing that it can.
func exercise(t *testing.T, r *kubernetes.Runtime, guest string, used *asked) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	must := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	seen, _ := watched(t, r)
	until := func(what string, is func(runtime.Event) bool) {
		t.Helper()
		for {
			select {
			case e := <-seen:
				if is(e) {
					return
				}
			case <-ctx.Done():
				t.Fatal(what + " does not come about")
			}
		}
	}
	spec := web(1)
	spec.Restart, spec.Stop.Grace = runtime.Restart{Policy: runtime.RestartAlways}, 30*time.Second
	spec.Image, spec.Replicas, spec.Command = guest, 2, []string{"/guest", "serve", "0s"}
	spec.Environment, spec.Secrets = map[string]string{"LEVEL": "one", "TOKEN": "secret", "STEAD_CONFORMANCE_HOST": "0.0.0.0"}, []string{"TOKEN"}
	job := web(1)
	job.ID.Service, job.Image, job.Ports, job.OneShot, job.Command = "migrate", guest, nil, true, []string{"/bin/sh", "-c", "echo hello"}
	for _, s := range []runtime.Spec{job, spec} {
		_, err := r.Preview(ctx, runtime.PreviewRequest{Environment: "staging", Project: "shop", Specs: []runtime.Spec{s}, Kind: runtime.PreviewDiff})
		must("diff", err)
		_, err = r.Start(ctx, s)
		must("start", err)
	}
	ended, ready := false, false
	until("the end of a one-shot, and a service that is ready,", func(e runtime.Event) bool {
		ended = ended || e.Kind == runtime.GenerationEvent && e.ID.Service == "migrate" && e.Generation.Phase == runtime.GenerationCompleted
		ready = ready || e.Kind == runtime.ReadyEvent && e.ID.Service == "web" && e.Ready.Ready
		return ended && ready
	})
	must("route", r.Route(ctx, spec.ID))
	must("logs", r.Logs(ctx, runtime.LogQuery{Environment: "staging", Project: "shop", Service: "migrate"}, func(runtime.LogBlock) error { return nil }))
	run := spec
	run.ID.Service, run.ID.Number, run.Command = "web:run", 1, []string{"/bin/sh", "-c", "echo hello"}
	session, err := r.Terminal(ctx, runtime.TerminalRequest{Run: &run})
	must("exec", err)
	for err == nil {
		var out runtime.TerminalOutput
		if out, err = session.Receive(); err == nil && out.Exit != nil {
			break
		}
	}
	must("exec", err)
	session.Close()
	conn, err := r.Connect(ctx, runtime.ConnectRequest{ID: spec.ID, Port: "http"})
	must("connect", err)
	conn.Close()
	_ = r.Stats(ctx, time.Second, func([]runtime.Stat) error { return io.EOF })
	for !used.has("update coordination.k8s.io/leases") { // it is renewed every few seconds
		must("renew the lease", ctx.Err())
		time.Sleep(50 * time.Millisecond)
	}
	must("kill", r.Stop(ctx, spec.ID, runtime.StopRequest{Grace: time.Second}))
	until("the end of web", func(e runtime.Event) bool {
		return e.Kind == runtime.GenerationEvent && e.ID.Service == "web" && e.Generation.Phase.Final()
	})
	_, err = r.Preview(ctx, runtime.PreviewRequest{Environment: "staging", Project: "shop", Kind: runtime.PreviewRemove})
	must("preview", err)
	must("shut down", r.Shutdown(ctx))
}
