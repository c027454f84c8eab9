// Command stead-runtime-kubernetes keeps services running as pods: those of
// one environment of one project, in one namespace of one cluster. All its
// truth is in the cluster, so it may be killed at any moment. The daemon starts
// it; package runtime/plugin says how they talk, and what ends it.
package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/stead-dev/stead/plugins/kubernetes"
	"github.com/stead-dev/stead/plugins/kubernetes/image"
	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/plugin"
)

// version is set by -ldflags "-X main.version=…".
var version = "dev"

func main() {
	var o options
	flag.StringVar(&o.dir, "dir", "", "absolute directory of the socket, the lock and runtime.json")
	flag.StringVar(&o.target.Kubeconfig, "kubeconfig", "", "path of the kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's own account")
	flag.StringVar(&o.target.Context, "context", "", "context in it; empty: its current one")
	flag.StringVar(&o.namespace, "namespace", "", "namespace; empty: the project's name")
	flag.StringVar(&o.project, "project", "", "project that is served")
	flag.StringVar(&o.environment, "environment", "", "environment of it that is served")
	flag.StringVar(&o.image.Registry, "registry", "", "what images are pushed below: registry.example.dev/team")
	flag.StringVar(&o.load, "load", "", "instead, for a single machine: its containerd's socket, as in unix:///run/containerd/containerd.sock, or the command that is ctr for it, as in \"sudo ctr -n k8s.io\"")
	flag.StringVar(&o.image.Cache, "cache", "", "absolute directory for layers and base images")
	show := flag.Bool("version", false, "print the version and end")
	flag.Parse()
	if *show {
		fmt.Println(version)
		return
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil)) // a file: it never prints
	err := run(o, log)
	if err != nil {
		log.Error("runtime ends", "err", err)
	}
	os.Exit(plugin.ExitCode(err))
}

type options struct {
	dir, namespace, project, environment string
	target                               kubernetes.Target
	load                                 string
	image                                image.Options
	exitsKept                            int // in tests
}

// run serves with a packer of its own.
func run(o options, log *slog.Logger) error {
	if o.load == "" && o.image.Registry == "" {
		return serve(o, nil, log)
	}
	client, _, err := kubernetes.Connect(o.target)
	if err != nil {
		return err
	}
	o.image.Log, o.image.Platforms = log, kubernetes.Platforms(client)
	o.image.LoadInto(o.load)
	images, err := image.New(o.image)
	if err != nil {
		return err
	}
	defer images.Close()
	return serve(o, images, log)
}

func serve(o options, images kubernetes.Packer, log *slog.Logger) error {
	if o.project == "" || o.environment == "" {
		return fmt.Errorf("--project and --environment are required: %w", runtime.Invalid)
	}
	s := plugin.ServeOptions{Dir: o.dir, Build: version, Nonce: rand.Text(), Log: log, Home: os.Getenv("STEAD_HOME"), Remains: true}
	if text := os.Getenv("STEAD_ORPHAN_TTL"); text != "" {
		var err error
		if s.OrphanTTL, err = time.ParseDuration(text); err != nil {
			return fmt.Errorf("STEAD_ORPHAN_TTL: %w: %w", err, runtime.Invalid)
		}
	}
	kubernetes.LogTo(log)
	client, config, err := kubernetes.Connect(o.target)
	if err != nil {
		return err
	}
	k := kubernetes.Options{
		Client: client, Config: config, Namespace: kubernetes.Namespace(o.namespace, o.project),
		Environment: o.environment, Project: o.project, Identity: kubernetes.Identity(o.dir), Packer: images, Log: log, Nonce: s.Nonce, Build: version, ExitsKept: o.exitsKept,
	}
	var rt *kubernetes.Runtime
	s.Open = func() (runtime.Runtime, error) {
		var err error
		rt, err = kubernetes.New(k)
		return rt, err
	}
	err = plugin.Serve(context.Background(), s)
	if rt != nil {
		rt.Close()
	}
	return err
}
