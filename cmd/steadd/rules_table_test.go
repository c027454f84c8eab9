package main_test

// The house's dependency rules. Every arrow points down, and no edge package
// imports another one; ARCHITECTURE.md says why. Paths of ours are without
// the module's.

// rule says what the packages that match one of its patterns may import. The
// first rule that matches a package is the one that holds.
type rule struct {
	packages []string // "daemon/*": one element more; "plugins/process/...": itself and everything below
	may      []string // packages of ours, as patterns; "self/..." is what lies below the package
	never    []ban
}

// ban is a module or package, with everything below it, and the reason.
type ban struct {
	path   string
	why    string
	direct bool // only its own imports count, not what those drag along (for the standard library)
}

const (
	goPlugin = "github.com/hashicorp/go-plugin"
	grpc     = "google.golang.org/grpc"
	bbolt    = "go.etcd.io/bbolt"
	yaml     = "go.yaml.in/yaml"
	cobra    = "github.com/spf13/cobra"
	connect  = "connectrpc.com/connect"
	fsnotify = "github.com/fsnotify/fsnotify"
	images   = "github.com/google/go-containerregistry"
	nodes    = "github.com/containerd"
)

// in gives several paths one reason.
func in(why string, paths ...string) []ban {
	var bans []ban
	for _, p := range paths {
		bans = append(bans, ban{path: p, why: why})
	}
	return bans
}

// direct is in for the standard library, which everything drags along.
func direct(why string, paths ...string) []ban {
	bans := in(why, paths...)
	for i := range bans {
		bans[i].direct = true
	}
	return bans
}

func join(lists ...[]ban) []ban {
	var all []ban
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

func rules() []rule {
	small := in("the spine must stay small and must not crash: no store, no manifest, no API in it", bbolt, yaml, connect, cobra)
	local := in("the spine's library is used in process by tests: the contract's carrier is runtime/plugin", grpc, goPlugin)
	cloud := in("client libraries of a backend belong to a plugin with a binary of its own", backends()...)
	return []rule{
		{packages: []string{"supervisor"}, never: join(cloud,
			direct("Step is a pure function: no I/O, no goroutine, no clock, no randomness",
				"context", "os", "net", "sync", "log", "io", "syscall", "runtime", "math/rand", "crypto/rand"),
			in("Step is a pure function of the standard library's values", grpc, goPlugin, bbolt, yaml))},
		{packages: []string{"runtime"}, never: join(cloud,
			in("the contract does not know what carries it", goPlugin, grpc, connect))},
		{packages: []string{"runtime/runtimepb"}, may: nil, never: cloud},
		{packages: []string{"runtime/plugin"}, may: []string{"runtime", "runtime/runtimepb"}, never: join(cloud, in("the carrier knows the contract alone", bbolt, yaml, connect))},
		{packages: []string{"runtime/conformance/..."}, may: []string{"runtime", "runtime/plugin", "runtime/conformance/..."}, never: cloud},
		{packages: []string{"runtime/logs"}, may: []string{"runtime"}, never: join(cloud,
			in("log segments are plain files, written by the spine", bbolt, grpc))},
		{packages: []string{"runtime/sockets"}, may: []string{"runtime"}, never: join(cloud, small, local)},
		{packages: []string{"runtime/split"}, may: []string{"runtime"}, never: join(cloud, small, local)},
		{packages: []string{"runtime/burst"}, may: nil, never: join(cloud, small, local)},
		{packages: []string{"runtime/journal"}, may: []string{"runtime"}, never: join(cloud, small, local)},
		{packages: []string{"plugins/process/..."}, may: []string{"runtime", "runtime/journal", "runtime/logs", "runtime/sockets", "self/..."}, never: join(cloud, small, local)},
		{packages: []string{"plugins/kubernetes/cluster"}, may: nil, never: join(cloud, small, local)},
		{packages: []string{"plugins/kubernetes/image"}, may: []string{"runtime"}, never: in(
			"files to images, and those to where a cluster finds them: containerd's own API is gRPC, the contract's is not", goPlugin, bbolt, connect, cobra, "k8s.io")},
		{packages: []string{"plugins/kubernetes/suite/..."}, may: []string{"runtime", "runtime/conformance", "plugins/kubernetes", "plugins/kubernetes/cluster"}, never: in("for tests alone", bbolt, connect, cobra)},
		{packages: []string{"plugins/kubernetes/..."}, may: []string{"runtime", "runtime/journal", "self/..."}, never: in(
			"the cluster keeps all that there is to know, and the contract's carrier is runtime/plugin", goPlugin, bbolt, connect, cobra)},
		{packages: []string{"plugins/*/..."}, may: []string{"runtime", "self/..."}, never: join(small, local)},

		{packages: []string{"daemon"}, may: []string{"supervisor", "runtime"}, never: join(cloud,
			in("the loop declares the small interfaces that it needs; wire.go fills them", goPlugin, grpc, connect, bbolt, yaml))},
		{packages: []string{"daemon/dashboard"}, may: []string{"supervisor", "runtime", "ipc", "ipc/steadpb"}, never: join(cloud,
			in("the dashboard is a client of the API", bbolt, goPlugin))},
		{packages: []string{"daemon/gateway"}, may: []string{"runtime"}, never: join(cloud,
			in("the doors outlive the brain and hold none of it; what they forward they do not speak", bbolt, yaml, goPlugin, grpc))},
		{packages: []string{"daemon/watch/..."}, may: []string{"self/..."}, never: join(cloud,
			in("the watcher knows files, and nothing of services", goPlugin, grpc, connect, bbolt, yaml, "github.com/go-git"))},
		{packages: []string{"daemon/*/..."}, may: []string{"supervisor", "runtime", "self/..."}, never: join(cloud,
			in("only runtime/plugin speaks to plugins", goPlugin))},

		{packages: []string{"ipc/steadpb"}, never: cloud},
		{packages: []string{"ipc"}, may: []string{"supervisor", "runtime", "ipc/steadpb"}, never: join(cloud,
			in("the API's package is in the CLI, which has to start quickly", bbolt, yaml, goPlugin, grpc, cobra))},
		{packages: []string{"ipc/ipctest"}, may: []string{"supervisor", "runtime", "ipc", "ipc/steadpb"}, never: cloud},
		{packages: []string{"ipc/lsp", "ipc/mcp"}, may: []string{"supervisor", "runtime", "ipc", "ipc/steadpb"}, never: join(cloud,
			in("a door is thin over the client", bbolt, yaml, goPlugin, grpc))},

		{packages: []string{"packaging/..."}, never: in("packaging has tests alone, of what is installed", goPlugin, grpc, bbolt, yaml)},

		{packages: []string{"cmd/stead"}, may: []string{"supervisor", "runtime", "ipc", "ipc/steadpb", "ipc/lsp", "ipc/mcp", "self/..."}, never: join(cloud,
			in("the CLI is the API's client and nothing else: status and completion must not pay for it",
				bbolt, yaml, goPlugin, grpc, "github.com/compose-spec/compose-go", "mvdan.cc/sh", "github.com/prometheus", "go.opentelemetry.io"))},
		{packages: []string{"cmd/steadd"}, may: []string{"..."}, never: cloud},
		{packages: []string{"cmd/stead-runtime-process"}, may: []string{"runtime", "runtime/plugin", "runtime/logs", "runtime/sockets", "runtime/burst", "plugins/process/..."}, never: join(cloud, small)},
		{packages: []string{"cmd/stead-gateway"}, may: []string{"runtime", "runtime/burst", "runtime/sockets", "daemon/gateway/..."}, never: join(cloud,
			in("the doors outlive the brain and hold none of it", bbolt, yaml, goPlugin))},
		{packages: []string{"cmd/stead-runtime-kubernetes"}, may: []string{"runtime", "runtime/plugin", "plugins/kubernetes/..."}, never: in(
			"the cluster keeps all that there is to know", bbolt, connect, cobra)},
		{packages: []string{"cmd/*"}, may: []string{"runtime", "runtime/plugin", "plugins/*/..."}, never: small},
	}
}

// backends are what never enters the core.
func backends() []string {
	return []string{
		"k8s.io", "sigs.k8s.io", "go.etcd.io/etcd", "github.com/nats-io", "github.com/jackc/pgx", "github.com/cockroachdb",
		images, nodes, "github.com/aws", "cloud.google.com", "github.com/docker", "helm.sh",
	}
}

// only says who may import a module, in the whole house: everybody else goes
// through the package that is named.
func only() map[string][]string {
	return map[string][]string{
		goPlugin: {"runtime/plugin"},
		bbolt:    {"daemon/*/..."},
		yaml:     {"daemon/manifest/..."},
		cobra:    {"cmd/*"},
		fsnotify: {"daemon/watch"},
		images:   {"plugins/kubernetes/...", "cmd/stead-runtime-kubernetes"},
		nodes:    {"plugins/kubernetes/image"},
	}
}
