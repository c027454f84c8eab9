package kubernetes

import (
	"context"
	"fmt"
	"log/slog"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"

	"github.com/stead-dev/stead/runtime"
)

// Target is where a cluster is, in kubectl's words.
type Target struct {
	Kubeconfig string // empty: as kubectl finds it, or the account of the pod that this runs in
	Context    string // empty: the current one
}

// What one runtime asks of an API server at most: the server sees to fairness
// itself, and with 50 per second 200 services take a minute. client-go's own make
// everything crawl.
const (
	queries = 200 // per second
	burst   = 400
)

// Connect returns a client. Tokens are read again from where the kubeconfig
// says when they are due, and those in the kubeconfig itself when they are no
// longer taken; nothing is asked yet.
func Connect(t Target) (kubernetes.Interface, *rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = t.Kubeconfig
	load := reader(rules, t.Context)
	config, err := load()
	if err != nil {
		return nil, nil, refuse(runtime.Invalid, "kubectl config get-contexts says which there are", "kubeconfig: %w", err)
	}
	config.QPS, config.Burst, config.UserAgent = queries, burst, "stead"
	if config.BearerToken != "" && config.BearerTokenFile == "" {
		config.Wrap((&login{load: load, token: config.BearerToken}).wrap)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, nil, fmt.Errorf("kubeconfig: %w: %w", err, runtime.Invalid)
	}
	return client, config, nil
}

// reader reads the kubeconfig anew with each call.
func reader(rules *clientcmd.ClientConfigLoadingRules, context string) func() (*rest.Config, error) {
	return func() (*rest.Config, error) {
		overrides := &clientcmd.ConfigOverrides{CurrentContext: context}
		return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides).ClientConfig()
	}
}

// Namespace is the one that was said, or what becomes of a project's name.
func Namespace(said, project string) string {
	if said != "" {
		return said
	}
	return dnsLabel(project, maxLabel)
}

// Platforms says for which machines images are to be made: those that the
// cluster has. Who may not look at nodes gets nil, which is this machine's kind.
func Platforms(client kubernetes.Interface) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if apierrors.IsForbidden(err) {
			return nil, nil
		}
		if err != nil {
			hint, class := classify(err)
			return nil, runtime.WithHint(fmt.Errorf("list nodes: %w: %w", err, class), hint)
		}
		var list []string
		for _, n := range nodes.Items {
			list = append(list, n.Status.NodeInfo.OperatingSystem+"/"+n.Status.NodeInfo.Architecture)
		}
		slices.Sort(list)
		return slices.Compact(list), nil
	}
}

// LogTo has client-go write to log, where it would print. That something cannot
// be followed it does not write at all: the runtime does, and once.
func LogTo(log *slog.Logger) {
	klog.SetSlogLogger(log)
	utilruntime.ErrorHandlers = nil
}
