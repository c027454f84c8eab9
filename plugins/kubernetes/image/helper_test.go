package image

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"go.uber.org/goleak"

	"github.com/stead-dev/stead/runtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// executable returns what looks to a kernel like a program.
func executable(machine elf.Machine, order binary.ByteOrder, dynamic bool, content string) []byte {
	data := byte(elf.ELFDATA2LSB)
	if order == binary.BigEndian {
		data = byte(elf.ELFDATA2MSB)
	}
	var out bytes.Buffer
	head := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(machine), Version: 1, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64}
	copy(head.Ident[:], elf.ELFMAG)
	head.Ident[elf.EI_CLASS], head.Ident[elf.EI_DATA], head.Ident[elf.EI_VERSION] = byte(elf.ELFCLASS64), data, 1
	prog := elf.Prog64{Type: uint32(elf.PT_LOAD)}
	if dynamic {
		prog.Type = uint32(elf.PT_INTERP)
	}
	_ = binary.Write(&out, order, head) // into memory
	_ = binary.Write(&out, order, prog)
	out.WriteString(content)
	return out.Bytes()
}

func amd64(content string) []byte {
	return executable(elf.EM_X86_64, binary.LittleEndian, false, content)
}

func arm64(content string) []byte {
	return executable(elf.EM_AARCH64, binary.LittleEndian, false, content)
}

// old is a time at which the cache believes that a file has settled.
var old = time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)

func write(t *testing.T, dir, name string, data []byte, mode os.FileMode) {
	t.Helper()
	at := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(at, mode); err != nil {
		t.Fatal(err)
	}
}

// project returns a directory with a program and two assets.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "bin/api", amd64("one"), 0o755)
	write(t, dir, "web/index.html", []byte("<p>"), 0o600)
	write(t, dir, "web/run.sh", []byte("#!/bin/sh\n"), 0o770)
	return dir
}

func specOf(dir string) runtime.Spec {
	return runtime.Spec{
		ID:  runtime.ID{Environment: "dev", Project: "shop", Service: "api", Number: 3},
		Dir: dir, Command: []string{"bin/api", "-v"},
		Package: &runtime.Package{Files: []string{"bin", "web"}, Root: "/app", Platforms: []string{"linux/amd64"}},
	}
}

// specOfBoth is of a project with a program for each of two platforms.
func specOfBoth(t *testing.T) runtime.Spec {
	t.Helper()
	dir := project(t)
	write(t, dir, "bin/api.linux-arm64", arm64("one"), 0o755)
	spec := specOf(dir)
	spec.Package.Platforms = []string{"linux/amd64", "linux/arm64"}
	return spec
}

// newPacker returns one with a cache of its own, no credentials and no
// certificates.
func newPacker(t *testing.T, o Options) *Packer {
	t.Helper()
	if o.Cache == "" {
		o.Cache = t.TempDir()
	}
	p, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.keychain = authn.NewMultiKeychain()
	p.backoff = remote.Backoff{Duration: time.Millisecond, Factor: 1, Steps: 5}
	p.certs = nil
	p.bases.wait = time.Minute // not for speed: no test is about a registry that hangs
	return p
}

func build(t *testing.T, p *Packer, spec runtime.Spec) Summary {
	t.Helper()
	s, err := p.Build(context.Background(), spec)
	if err != nil {
		t.Fatalf("Build: %v", err)
	}
	return s
}

func publish(t *testing.T, p *Packer, spec runtime.Spec) Summary {
	t.Helper()
	s, err := p.Publish(context.Background(), spec)
	if err != nil {
		t.Fatalf("Publish: %v (hint: %s)", err, runtime.Hint(err))
	}
	return s
}

// counted is a registry on loopback that notes what is asked of it, and may be
// out of sorts.
type counted struct {
	address string
	server  *httptest.Server

	mu      sync.Mutex
	uploads []string // digests of blobs, as they were committed
	asked   int
	fail    func(r *http.Request) int // a status to answer instead; 0: none
}

func newRegistry(t *testing.T) *counted {
	t.Helper()
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	c := &counted{}
	c.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := c.note(r); code != 0 {
			w.WriteHeader(code)
			return
		}
		inner.ServeHTTP(w, r)
	}))
	t.Cleanup(c.server.Close)
	c.address = strings.TrimPrefix(c.server.URL, "http://")
	return c
}

func (c *counted) note(r *http.Request) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	if c.fail != nil {
		if code := c.fail(r); code != 0 {
			return code
		}
	}
	if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/blobs/uploads/") {
		c.uploads = append(c.uploads, r.URL.Query().Get("digest"))
	}
	return 0
}

// sick has the registry answer with what f says.
func (c *counted) sick(f func(r *http.Request) int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fail = f
}

// uploaded returns what came since it was asked last.
func (c *counted) uploaded() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.uploads
	c.uploads = nil
	return u
}

func (c *counted) requests() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.asked
	c.asked = 0
	return n
}
