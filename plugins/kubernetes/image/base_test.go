package image

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/stead-dev/stead/runtime"
)

// publishBase puts an image with an index for two platforms into r.
func publishBase(t *testing.T, r *counted, ref string, user string) (amd64 v1.Hash) {
	t.Helper()
	index := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := random.Image(4096, 2)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		cfg = cfg.DeepCopy()
		cfg.OS, cfg.Architecture = "linux", arch
		cfg.Config = v1.Config{User: user, Env: []string{"PATH=/opt/bin", "LANG=C"}, Cmd: []string{"sh"}, Entrypoint: []string{"/init"}, StopSignal: "SIGWINCH",
			Labels: map[string]string{annotation + "title": "somebody else's", "vendor": "kept"}}
		if img, err = mutate.ConfigFile(img, cfg); err != nil {
			t.Fatal(err)
		}
		if arch == "amd64" {
			if amd64, err = img.Digest(); err != nil {
				t.Fatal(err)
			}
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	parsed, err := name.ParseReference(r.address + "/" + ref)
	if err != nil {
		t.Fatal(err)
	}
	own := newConnections()
	defer own.CloseIdleConnections()
	if err := remote.WriteIndex(parsed, index, remote.WithTransport(own)); err != nil {
		t.Fatal(err)
	}
	return amd64
}

// scripted is a spec whose program is a script, on a base.
func scripted(t *testing.T, base string) runtime.Spec {
	t.Helper()
	dir := project(t)
	write(t, dir, "bin/api", []byte("#!/bin/sh\n"), 0o755)
	spec := specOf(dir)
	spec.Package.Base = base
	return spec
}

func TestBase(t *testing.T) {
	r := newRegistry(t)
	digest := publishBase(t, r, "base/sh:1", "")
	spec := scripted(t, r.address+"/base/sh:1")
	m := makeImage(t, newPacker(t, Options{}), spec)
	img := m.images[0]
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	l := cfg.Config.Labels
	if l[annotation+"base.digest"] != digest.String() || l[annotation+"base.name"] != spec.Package.Base || l[annotation+"title"] != "api" || l["vendor"] != "kept" {
		t.Errorf("labels %v", l)
	}
	if c := cfg.Config; c.Entrypoint[0] != "/app/bin/api" || c.Env[0] != "PATH=/opt/bin" || c.User != user || c.StopSignal != "" {
		t.Errorf("configuration %+v", c)
	}
	s := m.summary().Platforms[0]
	if s.BaseDigest != digest.String() || len(s.Layers) != 4 {
		t.Errorf("summary %+v", s)
	}
	for _, line := range listing(t, img)[2:] {
		if strings.HasSuffix(line, " app/") {
			t.Errorf("the layer changes a directory of the base: %s", line)
		}
	}
}

// TestUserOfBase: a base's own user is kept where Kubernetes can tell that it
// is not root.
func TestUserOfBase(t *testing.T) {
	for in, want := range map[string]bool{"": false, "root": false, "0": false, "0:0": false, "00": false, "node": false, "1000": true, "1001:0": true} {
		if got := numericUser(in); got != want {
			t.Errorf("numericUser(%q) = %v", in, got)
		}
	}
	for in, want := range map[string]string{"root": user, "0:0": user, "1001:0": "1001:0"} {
		r := newRegistry(t)
		publishBase(t, r, "base:1", in)
		img := makeImage(t, newPacker(t, Options{}), scripted(t, r.address+"/base:1")).images[0]
		cfg, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Config.User != want {
			t.Errorf("user %q of the base became %q, want %q", in, cfg.Config.User, want)
		}
	}
}

// TestBaseWithoutRegistry: what was pulled once is enough, for another process
// too.
func TestBaseWithoutRegistry(t *testing.T) {
	r := newRegistry(t)
	publishBase(t, r, "base:1", "")
	cache := t.TempDir()
	spec := scripted(t, r.address+"/base:1")
	first := build(t, newPacker(t, Options{Cache: cache}), spec)
	r.server.Close()
	p := newPacker(t, Options{Cache: cache})
	if again := build(t, p, spec); again.Digest != first.Digest {
		t.Errorf("digest %s, was %s", again.Digest, first.Digest)
	}
	if len(p.bases.asked) != 1 {
		t.Error("each save would try the registry again")
	}
	spec.Package.Base = r.address + "/base:2"
	_, err := p.Build(context.Background(), spec)
	if !errors.Is(err, runtime.Unavailable) || runtime.Hint(err) == "" {
		t.Errorf("err = %v", err)
	}
}

// TestBaseIsAskedForNowAndThen: not at each save, and by digest never again.
func TestBaseIsAskedForNowAndThen(t *testing.T) {
	r := newRegistry(t)
	digest := publishBase(t, r, "base:1", "")
	p := newPacker(t, Options{})
	spec := scripted(t, r.address+"/base:1")
	first := build(t, p, spec)
	moved := publishBase(t, r, "base:1", "")
	r.requests()
	if s := build(t, p, spec); s.Digest != first.Digest || r.requests() != 0 {
		t.Error("the base moved between two saves")
	}
	for key := range p.bases.asked {
		p.bases.asked[key] = time.Now().Add(-2 * baseFresh)
	}
	if s := build(t, p, spec); s.Platforms[0].BaseDigest != moved.String() {
		t.Errorf("base %s, want %s", s.Platforms[0].BaseDigest, moved)
	}
	spec.Package.Base = r.address + "/base@" + digest.String()
	build(t, p, spec)
	r.requests()
	if build(t, newPacker(t, Options{Cache: p.o.Cache}), spec); r.requests() != 0 {
		t.Error("a digest was asked for although it is there")
	}
}

func TestBaseCutShort(t *testing.T) {
	r := newRegistry(t)
	digest := publishBase(t, r, "base:1", "")
	p := newPacker(t, Options{})
	spec := scripted(t, r.address+"/base:1")
	first := build(t, p, spec)
	blobs, err := filepath.Glob(filepath.Join(p.bases.place(digest), "blobs", "sha256", "*"))
	if err != nil || len(blobs) == 0 {
		t.Fatal(blobs, err)
	}
	for _, name := range blobs {
		if err := os.Truncate(name, 1); err != nil {
			t.Fatal(err)
		}
	}
	if s := build(t, p, spec); s.Digest != first.Digest {
		t.Errorf("digest %s, was %s", s.Digest, first.Digest)
	}
}

func TestBaseRefused(t *testing.T) {
	r := newRegistry(t)
	publishBase(t, r, "base:1", "")
	spec := scripted(t, r.address+"/base:1")
	spec.Package.Platforms = []string{"linux/s390x"}
	if _, err := newPacker(t, Options{}).Build(context.Background(), spec); err == nil {
		t.Error("a base that is not made for the platform was taken")
	}
	spec = scripted(t, "not a name")
	if _, err := newPacker(t, Options{}).Build(context.Background(), spec); !errors.Is(err, runtime.Invalid) {
		t.Errorf("err = %v", err)
	}
	r.sick(func(*http.Request) int { return http.StatusForbidden })
	if _, err := newPacker(t, Options{}).Build(context.Background(), scripted(t, r.address+"/base:1")); !errors.Is(err, runtime.Invalid) {
		t.Errorf("err = %v", err)
	}
}
