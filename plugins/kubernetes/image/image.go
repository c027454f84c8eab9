// Package image makes container images out of what lies in a service's
// directory, and brings them to where a cluster finds them, without Docker.
//
// An image is a base, a layer with the files that change rarely, and on top of
// it a layer with the executable alone: a save moves one layer. The same files
// upon the same base give the same digest, whatever their times, owners and
// directory are. Without a base there are CA certificates of the machine that
// packs, a user, and /tmp; another set of certificates is another digest.
//
// A Packer may be used by any number of goroutines at once. Its cache
// directory belongs to one process. Between calls nothing runs but idle
// connections to the registry, which end after a while, and with Close.
package image

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	goruntime "runtime"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/stead-dev/stead/runtime"
)

// Options say where images go to, and what for.
type Options struct {
	// Registry is what images are pushed below: "registry.example.dev/team".
	// Who one is there is found as Docker finds it (~/.docker/config.json and
	// its credential helpers). Without TLS only on loopback, in .local, and
	// where it is written with http:// in front.
	Registry string

	// Load is, in the stead of Registry, the command that is containerd's ctr
	// for the namespace of a single-machine cluster, on this machine or
	// another: "ctr -n k8s.io", "docker exec -i kind-control-plane ctr -n
	// k8s.io", "ssh node sudo k3s ctr -n k8s.io". It is run as it is, with
	// "images import -" and the like behind it.
	Load []string

	// Containerd is, in the stead of both, the address of the socket of such a
	// cluster's containerd on this machine, as in
	// unix:///run/containerd/containerd.sock. Most often only root may use it.
	Containerd string

	// Cache is a directory for layers and base images, and Limit the bytes in
	// it once nobody packs any more; 0: 2 GiB.
	Cache string
	Limit int64

	// Platforms are asked for when a package names none. nil: linux, and the
	// architecture of this machine.
	Platforms func(context.Context) ([]string, error)

	// Progress hears of bytes on their way to a registry, often, and from any
	// goroutine. May be nil.
	Progress func(Progress)

	Log *slog.Logger // nil: nothing is logged
}

// LoadInto sets Load or Containerd, by what a manifest says under load.
func (o *Options) LoadInto(load string) {
	if strings.HasPrefix(load, "unix:") {
		o.Containerd = load
	} else {
		o.Load = strings.Fields(load)
	}
}

// Progress is what has been sent of one image so far.
type Progress struct {
	ID   runtime.ID
	Sent int64 // bytes of layers; some more than once when the registry made us repeat it
}

// Packer makes and delivers images.
type Packer struct {
	o           Options
	plain       string // host and port of a registry that may go without TLS; may be empty
	epoch       time.Time
	packing     packing
	begin       func() // called before a layer is written; more than once
	cache       *cache
	sending     *deliveries
	containerd  *containerd // nil: Options name none
	bases       *bases
	keychain    authn.Keychain
	backoff     remote.Backoff
	connections *http.Transport
	certs       []string // files in which CA certificates may be
}

// defaultLimit holds some base images and the last few versions of some dozens of
// services.
const defaultLimit = 2 << 30

// New returns a Packer. SOURCE_DATE_EPOCH, when it is set, is the time of all
// files in the images, else it is that of 1970 (reproducible-builds.org).
func New(o Options) (*Packer, error) {
	places := 0
	for _, given := range []bool{o.Registry != "", len(o.Load) > 0, o.Containerd != ""} {
		if given {
			places++
		}
	}
	if places > 1 {
		return nil, runtime.WithHint(fmt.Errorf("images: there is more than one place for them to go to: %w", runtime.Invalid),
			"use one of --registry and --load")
	}
	if o.Limit <= 0 {
		o.Limit = defaultLimit
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Platforms == nil {
		o.Platforms = func(context.Context) ([]string, error) { return []string{"linux/" + goruntime.GOARCH}, nil }
	}
	epoch, err := sourceDate(os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return nil, err
	}
	cache, err := openCache(o.Cache, o.Limit)
	if err != nil {
		return nil, err
	}
	p := &Packer{o: o, begin: func() {}, epoch: epoch, cache: cache, sending: &deliveries{under: map[string]*delivery{}}, keychain: authn.DefaultKeychain, backoff: patient, certs: certificateFiles}
	p.bases = newBases(cache, o.Log)
	p.connections = newConnections()
	if o.Containerd != "" {
		if p.containerd, err = newContainerd(o.Containerd); err != nil {
			return nil, err
		}
	}
	if p.containerd != nil || len(o.Load) > 0 {
		p.packing = zstdded
	}
	if rest, ok := strings.CutPrefix(o.Registry, "http://"); ok {
		p.o.Registry = rest
		p.plain, _, _ = strings.Cut(rest, "/")
	}
	return p, nil
}

// Close ends connections that are kept for the next image.
func (p *Packer) Close() {
	p.connections.CloseIdleConnections()
	if p.containerd != nil {
		_ = p.containerd.conn.Close()
	}
}

func sourceDate(text string) (time.Time, error) {
	if text == "" {
		return time.Unix(0, 0).UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 {
		return time.Time{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: want seconds since 1970: %w", text, runtime.Invalid)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// Pack makes the image of spec, sees to it that the cluster finds it, and
// returns the reference for its pods: by digest, so that it never means
// anything else.
func (p *Packer) Pack(ctx context.Context, spec runtime.Spec) (string, error) {
	s, err := p.Publish(ctx, spec)
	return s.Reference, err
}

// Publish is Pack, and tells all about it.
func (p *Packer) Publish(ctx context.Context, spec runtime.Spec) (Summary, error) {
	ctx, cancel := context.WithCancel(ctx)
	maker, send, end, err := p.destination(ctx)
	if err != nil {
		cancel()
		return Summary{}, err
	}
	defer end() // after cancel
	defer cancel()
	defer p.cache.hold()()
	made, err := maker.make(ctx, spec)
	if err != nil {
		return Summary{}, fmt.Errorf("pack %s: %w", spec.ID.Label(), err)
	}
	s := made.summary()
	if s.Reference, err = p.deliver(ctx, made, send); err != nil {
		return Summary{}, fmt.Errorf("deliver the image of %s: %w", spec.ID.Label(), err)
	}
	return s, nil
}

// Build makes the image of spec, and nothing else: there is no Reference in
// what it returns.
func (p *Packer) Build(ctx context.Context, spec runtime.Spec) (Summary, error) {
	defer p.cache.hold()()
	made, err := p.make(ctx, spec)
	if err != nil {
		return Summary{}, fmt.Errorf("pack %s: %w", spec.ID.Label(), err)
	}
	return made.summary(), nil
}

// destination returns what makes images for where they belong, and what brings
// them there; end waits for all that has begun until then.
func (p *Packer) destination(ctx context.Context) (maker *Packer, send func(context.Context, *product) (string, error), end func(), err error) {
	switch {
	case p.o.Registry != "":
		return p, p.push, func() {}, nil
	case p.containerd != nil:
		return p, p.containerd.load, func() {}, nil
	case len(p.o.Load) > 0:
		n := &node{p: p, ctx: ctx}
		asking := *p
		asking.begin = n.look
		return &asking, n.load, n.asking.Wait, nil
	}
	return nil, nil, nil, nowhere()
}

// product is an image that was made: one for each platform, and an index of
// them when there are several.
type product struct {
	id     runtime.ID
	base   string
	images []platformImage // at least one, by platform
	whole  artifact        // what the reference means
	digest v1.Hash
}

// artifact is an image or an index of images.
type artifact interface {
	remote.Taggable
	Digest() (v1.Hash, error)
	MediaType() (types.MediaType, error)
}

// platformImage is the image for one platform.
type platformImage struct {
	v1.Image
	platform   v1.Platform
	digest     v1.Hash
	baseDigest string
	layers     []LayerSummary
	components int
}
