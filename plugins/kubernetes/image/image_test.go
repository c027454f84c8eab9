package image

import (
	"archive/tar"
	"context"
	"debug/elf"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/stead-dev/stead/runtime"
)

// listing returns what an image's layers hold, a line for each entry.
func listing(t *testing.T, img v1.Image) []string {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for i, l := range layers {
		r, err := l.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for in := tar.NewReader(r); ; {
			h, err := in.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if !h.ModTime.Equal(time.Unix(0, 0)) {
				t.Errorf("%s is of %v", h.Name, h.ModTime)
			}
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%d %04o %d %s %s", i, h.Mode, h.Uid, h.Name, h.Linkname)))
		}
	}
	return lines
}

func makeImage(t *testing.T, p *Packer, spec runtime.Spec) *product {
	t.Helper()
	m, err := p.make(context.Background(), spec)
	if err != nil {
		t.Fatalf("make: %v", err)
	}
	return m
}

func TestImage(t *testing.T) {
	dir := project(t)
	if err := os.Symlink("index.html", filepath.Join(dir, "web/home.html")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "web/dangling")); err != nil {
		t.Fatal(err)
	}
	img := makeImage(t, newPacker(t, Options{}), specOf(dir)).images[0]
	want := []string{
		"0 0755 0 etc/", "0 0644 0 etc/group", "0 0644 0 etc/passwd", "0 0755 0 home/", "0 0700 65532 home/nonroot/", "0 1777 0 tmp/",
		"1 0755 0 app/", "1 0755 0 app/web/", "1 0777 0 app/web/dangling nowhere", "1 0777 0 app/web/home.html index.html",
		"1 0644 0 app/web/index.html", "1 0755 0 app/web/run.sh",
		"2 0755 0 app/", "2 0755 0 app/bin/", "2 0755 0 app/bin/api",
	}
	if diff := cmp.Diff(want, listing(t, img)); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if err := validate.Image(img); err != nil {
		t.Errorf("the image is not sound: %v", err)
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	c := cfg.Config
	if c.User != "65532:65532" || c.WorkingDir != "/app" || !slices.Equal(c.Entrypoint, []string{"/app/bin/api"}) || !slices.Equal(c.Cmd, []string{"-v"}) || !slices.Equal(c.Env, []string{defaultPath}) {
		t.Errorf("configuration: %+v", c)
	}
	if c.Labels[annotation+"title"] != "api" || cfg.Architecture != "amd64" || cfg.OS != "linux" {
		t.Errorf("configuration: %+v", cfg)
	}
}

// TestStopSignal: an image says what ends its program, by its long name, and says
// nothing where that is SIGTERM.
func TestStopSignal(t *testing.T) {
	for signal, want := range map[string]string{"": "", "TERM": "", "SIGTERM": "", "INT": "SIGINT", "SIGQUIT": "SIGQUIT"} {
		spec := specOf(project(t))
		spec.Stop.Signal = signal
		cfg, err := makeImage(t, newPacker(t, Options{}), spec).images[0].ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if cfg.Config.StopSignal != want {
			t.Errorf("%q: the image says %q, want %q", signal, cfg.Config.StopSignal, want)
		}
	}
}

func TestCertificates(t *testing.T) {
	p := newPacker(t, Options{})
	certs := filepath.Join(t.TempDir(), "certs.pem")
	write(t, filepath.Dir(certs), "certs.pem", []byte("-----BEGIN"), 0o600)
	p.certs = []string{"/nonexistent", certs}
	img := makeImage(t, p, specOf(project(t))).images[0]
	if l := listing(t, img); !slices.Contains(l, "0 0644 0 etc/ssl/certs/ca-certificates.crt") {
		t.Errorf("no certificates in %q", l)
	}
}

// TestSameFilesSameDigest: times, the directory, what is said twice and the
// machine's order of files are not in the image.
func TestSameFilesSameDigest(t *testing.T) {
	first := build(t, newPacker(t, Options{}), specOf(project(t)))
	dir := project(t)
	for _, name := range []string{"bin/api", "web/index.html", "web"} {
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	spec := specOf(dir)
	spec.ID.Number, spec.ID.Project, spec.ID.Environment = 9, "shop-2", "staging"
	spec.Command[0] = filepath.Join(dir, "bin/api")
	spec.Package.Files = []string{"web/run.sh", "./web/", "bin", "web"}
	if second := build(t, newPacker(t, Options{}), spec); first.Digest != second.Digest {
		t.Errorf("digests differ: %+v and %+v", first, second)
	}
	write(t, dir, "bin/api", amd64("two"), 0o755)
	if third := build(t, newPacker(t, Options{}), spec); first.Digest == third.Digest {
		t.Error("another program, and the same digest")
	}
}

func TestSourceDate(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "1700000000")
	if p := newPacker(t, Options{}); p.epoch.Unix() != 1700000000 {
		t.Errorf("epoch %v", p.epoch)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := New(Options{Cache: t.TempDir()}); !errors.Is(err, runtime.Invalid) {
		t.Errorf("err = %v", err)
	}
}

func TestPlatforms(t *testing.T) {
	dir := project(t)
	write(t, dir, "bin/api.linux-arm64", arm64("one"), 0o755)
	spec := specOf(dir)
	spec.Package.Platforms = []string{"linux/arm64", "linux/amd64", "linux/arm64"}
	m := makeImage(t, newPacker(t, Options{}), spec)
	s := m.summary()
	if len(s.Platforms) != 2 || s.Platforms[0].Platform != "linux/amd64" || s.Platforms[1].Platform != "linux/arm64" {
		t.Fatalf("platforms: %+v", s.Platforms)
	}
	for i := range 2 {
		if a, b := s.Platforms[0].Layers[i], s.Platforms[1].Layers[i]; a != b {
			t.Errorf("layer %s is not shared: %v and %v", a.What, a, b)
		}
	}
	for _, img := range m.images {
		for _, line := range listing(t, img) {
			if strings.Contains(line, "linux-arm64") {
				t.Errorf("%s has the program of another platform: %s", img.platform, line)
			}
		}
	}
	index, ok := m.whole.(v1.ImageIndex)
	if !ok {
		t.Fatalf("%T is no index", m.whole)
	}
	if err := validate.Index(index); err != nil {
		t.Error(err)
	}
	if s.Platforms[0].Digest != build(t, newPacker(t, Options{}), specOf(dir)).Digest {
		t.Error("the image of a platform differs from the one that is made alone")
	}
}

func TestHintOfDynamicProgram(t *testing.T) {
	dir := project(t)
	write(t, dir, "bin/api", executable(elf.EM_X86_64, binary.LittleEndian, true, ""), 0o755)
	_, err := newPacker(t, Options{}).Build(context.Background(), specOf(dir))
	if hint := runtime.Hint(err); !strings.Contains(hint, "CGO_ENABLED=0 GOOS=linux GOARCH=amd64 go build") {
		t.Errorf("hint %q", hint)
	}
}

func TestNowhereToGo(t *testing.T) {
	_, err := newPacker(t, Options{}).Pack(context.Background(), specOf(project(t)))
	if hint := runtime.Hint(err); !errors.Is(err, runtime.Invalid) || !strings.Contains(hint, "--registry") || !strings.Contains(hint, "--load") {
		t.Errorf("err = %v, hint %q", err, hint)
	}
	if _, err := New(Options{Cache: t.TempDir(), Registry: "r.example.dev", Load: []string{"ctr"}}); !errors.Is(err, runtime.Invalid) {
		t.Errorf("both: err = %v", err)
	}
}

// TestRootOfSystem: files that are packed at / leave the modes of the system's
// directories alone.
func TestRootOfSystem(t *testing.T) {
	dir := project(t)
	write(t, dir, "tmp/x", nil, 0o644)
	spec := specOf(dir)
	spec.Package.Root, spec.Package.Files = "/", []string{"tmp"}
	lines := listing(t, makeImage(t, newPacker(t, Options{}), spec).images[0])
	if !slices.Contains(lines, "1 0644 0 tmp/x") || slices.Contains(lines, "1 0755 0 tmp/") || !slices.Contains(lines, "2 0755 0 bin/api") {
		t.Errorf("files: %q", lines)
	}
}

// TestLinkAsProgram: the program is what the link leads to.
func TestLinkAsProgram(t *testing.T) {
	dir := project(t)
	if err := os.Symlink("api", filepath.Join(dir, "bin/current")); err != nil {
		t.Fatal(err)
	}
	spec := specOf(dir)
	spec.Command[0] = "bin/current"
	lines := listing(t, makeImage(t, newPacker(t, Options{}), spec).images[0])
	if !slices.Contains(lines, "1 0777 0 app/bin/current api") || !slices.Contains(lines, "2 0755 0 app/bin/api") || slices.Contains(lines, "1 0755 0 app/bin/api") {
		t.Errorf("files: %q", lines)
	}
}

// TestProgramAlone: a program that is all there is makes one layer, and an
// empty directory that is named is there.
func TestProgramAlone(t *testing.T) {
	dir := project(t)
	spec := specOf(dir)
	spec.Package.Files = nil
	if s := build(t, newPacker(t, Options{}), spec); len(s.Platforms[0].Layers) != 2 {
		t.Errorf("layers %+v", s.Platforms[0].Layers)
	}
	if err := os.MkdirAll(filepath.Join(dir, "var/spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	spec.Package.Files = []string{"var/spool"}
	if l := listing(t, makeImage(t, newPacker(t, Options{}), spec).images[0]); !slices.Contains(l, "1 0755 0 app/var/spool/") {
		t.Errorf("files %q", l)
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := newPacker(t, Options{}).Build(ctx, specOf(project(t))); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
}

func TestSummaryAsJSON(t *testing.T) {
	s := build(t, newPacker(t, Options{}), specOf(project(t)))
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"digest":"sha256:`, `"platform":"linux/amd64"`, `"what":"executable"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

// TestConcurrently: services that are packed at once, in a cache that is too
// small for them, are all whole.
func TestConcurrently(t *testing.T) {
	r := newRegistry(t)
	publishBase(t, r, "base:1", "")
	p := newPacker(t, Options{Registry: r.address, Limit: 1})
	var group sync.WaitGroup
	for i := range 8 {
		spec := scripted(t, r.address+"/base:1")
		if i%2 == 0 {
			spec = specOf(project(t))
			write(t, spec.Dir, "bin/api", amd64(strings.Repeat("x", i)), 0o755)
		}
		group.Go(func() {
			for range 3 {
				if _, err := p.Pack(context.Background(), spec); err != nil {
					t.Errorf("Pack: %v", err)
				}
			}
		})
	}
	group.Wait()
	if n := len(layersIn(t, p)); n != 0 {
		t.Errorf("%d layers are left in a cache for one byte", n)
	}
}
