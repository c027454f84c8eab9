package image

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/stead-dev/stead/runtime"
)

func TestPush(t *testing.T) {
	r := newRegistry(t)
	var sent atomic.Int64
	p := newPacker(t, Options{Registry: r.address + "/team/", Progress: func(p Progress) { sent.Store(p.Sent) }})
	spec := specOf(project(t))
	spec.ID.Project, spec.ID.Service = "Shop_1", "api.v2"
	s := publish(t, p, spec)
	if want := r.address + "/team/shop-1-api-v2@" + s.Digest; s.Reference != want {
		t.Errorf("reference %s, want %s", s.Reference, want)
	}
	if size := s.Platforms[0].Size; sent.Load() < size {
		t.Errorf("sent %d of %d bytes", sent.Load(), size)
	}
	ref, err := name.NewTag(r.address + "/team/shop-1-api-v2:" + s.Digest[len("sha256:"):][:12])
	if err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(ref, remote.WithTransport(p.connections))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Image(img); err != nil {
		t.Error(err)
	}
}

// TestOnlyWhatChangedTravels: after a save that is one layer and the
// configuration; without a change nothing at all.
func TestOnlyWhatChangedTravels(t *testing.T) {
	r := newRegistry(t)
	p := newPacker(t, Options{Registry: r.address})
	dir := project(t)
	first := publish(t, p, specOf(dir))
	if n := len(r.uploaded()); n != 4 { // three layers, one configuration
		t.Errorf("%d blobs at first", n)
	}
	write(t, dir, "bin/api", amd64("two"), 0o755)
	second := publish(t, p, specOf(dir))
	came := r.uploaded()
	if top := second.Platforms[0].Layers[2]; len(came) != 2 || !slices.Contains(came, top.Digest) || top.What != "executable" {
		t.Errorf("%q travelled; layers %+v and %+v", came, first.Platforms[0].Layers, second.Platforms[0].Layers)
	}
	r.requests()
	publish(t, p, specOf(dir))
	if n := r.requests(); len(r.uploaded()) != 0 || n > 3 {
		t.Errorf("%d requests for an image that is there", n)
	}
}

func TestPushIndex(t *testing.T) {
	r := newRegistry(t)
	spec := specOfBoth(t)
	p := newPacker(t, Options{Registry: r.address})
	s := publish(t, p, spec)
	ref, err := name.NewDigest(s.Reference)
	if err != nil {
		t.Fatal(err)
	}
	index, err := remote.Index(ref, remote.WithTransport(p.connections))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if n := len(r.uploaded()); n != 6 { // base and files once; two programs, two configurations
		t.Errorf("%d blobs", n)
	}
}

func TestBusyRegistry(t *testing.T) {
	for _, code := range []int{http.StatusTooManyRequests, http.StatusServiceUnavailable, http.StatusBadGateway} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			r := newRegistry(t)
			seen := map[string]int{}
			r.sick(func(req *http.Request) int { // each thing fails twice
				key := req.Method + req.URL.Path
				if strings.Contains(key, "uploads") {
					key = req.Method + "uploads"
				}
				if seen[key]++; seen[key] <= 2 && req.Method != http.MethodGet {
					return code
				}
				return 0
			})
			p := newPacker(t, Options{Registry: r.address})
			p.backoff.Steps = 30 // each step of an upload begins it anew
			publish(t, p, specOf(project(t)))
		})
	}
}

func TestRegistrySaysNo(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		class error
		hint  string
	}{
		"log in":        {http.StatusUnauthorized, runtime.Invalid, "docker login"},
		"not allowed":   {http.StatusForbidden, runtime.Invalid, "docker login"},
		"no repository": {http.StatusNotFound, runtime.NotFound, "made before"},
		"ill for long":  {http.StatusBadGateway, runtime.Unavailable, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRegistry(t)
			r.sick(func(req *http.Request) int {
				if req.Method == http.MethodPost {
					return c.code
				}
				return 0
			})
			_, err := newPacker(t, Options{Registry: r.address}).Pack(context.Background(), specOf(project(t)))
			if !errors.Is(err, c.class) || !strings.Contains(runtime.Hint(err), c.hint) {
				t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
			}
		})
	}
}

func TestRegistryAway(t *testing.T) {
	r := newRegistry(t)
	r.server.Close()
	_, err := newPacker(t, Options{Registry: r.address}).Pack(context.Background(), specOf(project(t)))
	if !errors.Is(err, runtime.Unavailable) || !strings.Contains(runtime.Hint(err), "reached from this machine") {
		t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
	}
}

// TestNoTLS: passwords and images cross no network in the clear, not even to
// the private addresses for which the library takes HTTP.
func TestNoTLS(t *testing.T) {
	for host, ok := range map[string]bool{
		"10.0.0.9":  true, // whose registry was written with http://
		"127.0.0.1": true, "::1": true, "localhost": true, "r.localhost": true, "registry.local": true,
		"10.0.0.5": false, "192.168.1.2": false, "r.example.dev": false, "local": false,
	} {
		asked := false
		g := guarded{roundTripper(func(*http.Request) (*http.Response, error) {
			asked = true
			return httptest.NewRecorder().Result(), nil
		}), "10.0.0.9:5000"}
		if strings.Contains(host, ":") {
			host = "[" + host + "]"
		}
		req := httptest.NewRequest(http.MethodGet, "http://"+host+":5000/v2/", nil)
		if _, err := g.RoundTrip(req); (err == nil) != ok || asked != ok {
			t.Errorf("%s: err = %v, asked %v", host, err, asked)
		}
	}
}

func TestPlainRegistry(t *testing.T) {
	r := newRegistry(t)
	p := newPacker(t, Options{Registry: "http://" + r.address + "/team"})
	if s := publish(t, p, specOf(project(t))); s.Reference != r.address+"/team/shop-api@"+s.Digest || p.plain != r.address {
		t.Errorf("reference %s, plain %s", s.Reference, p.plain)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestBadRegistry(t *testing.T) {
	_, err := newPacker(t, Options{Registry: "https://r.example.dev/Team"}).Pack(context.Background(), specOf(project(t)))
	if !errors.Is(err, runtime.Invalid) || runtime.Hint(err) == "" {
		t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
	}
}

func TestSlug(t *testing.T) {
	for in, want := range map[string]string{
		"shop": "shop", "Shop_1": "shop-1", "--a..b--": "a-b", "": "x", "äöü": "x", "a/b:c": "a-b-c",
		strings.Repeat("ab-", 30): strings.TrimRight(strings.Repeat("ab-", 21), "-"),
	} {
		if got := slug(in); got != want {
			t.Errorf("slug(%q) = %q, want %q", in, got, want)
		}
	}
}

// BenchmarkPack packs ten megabytes of program that nobody has seen before.
func BenchmarkPack(b *testing.B) {
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	text, err := os.ReadFile(self)
	if err != nil {
		b.Fatal(err)
	}
	text = text[:min(len(text), 10<<20)]
	dir := b.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		b.Fatal(err)
	}
	p, err := New(Options{Cache: b.TempDir(), Limit: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	spec := specOf(dir)
	spec.Package.Files = nil
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		text[len(text)-1] = byte(rand.IntN(256))
		if err := os.WriteFile(filepath.Join(dir, "bin/api"), append(amd64(""), text...), 0o755); err != nil {
			b.Fatal(err)
		}
		if _, err := p.Build(context.Background(), spec); err != nil {
			b.Fatal(err)
		}
	}
}
