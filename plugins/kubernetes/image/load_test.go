package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/validate"

	"github.com/stead-dev/stead/runtime"
)

// fakeCtr keeps names and blobs of what is imported as files below $1.
const fakeCtr = `
dir=$1; shift
echo "$*" >>$dir/calls
case "$*" in
"images ls -q") cat $dir/names 2>/dev/null || true ;;
"content ls -q") ls $dir/all/blobs/sha256 2>/dev/null | sed s/^/sha256:/ ;;
"images import -"|"images import --no-unpack -")
	[ ! -f $dir/fail ] || { rm $dir/fail; echo "no such blob" >&2; exit 1; }
	mkdir -p $dir/last $dir/all && rm -rf $dir/last/* && tar -C $dir/last -xf - && cp -R $dir/last/. $dir/all
	[ -f $dir/forget ] || grep -o 'stead.local/[^"]*' $dir/last/index.json >>$dir/names ;;
*) echo "unknown: $*" >&2; exit 2 ;;
esac
`

func newFakeNode(t *testing.T) (dir string, command []string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "ctr", []byte(fakeCtr), 0o600)
	return dir, []string{"sh", filepath.Join(dir, "ctr"), dir}
}

// sound fails unless every blob of a layout is what its name says.
func sound(t *testing.T, dir string) {
	t.Helper()
	for _, name := range blobsIn(t, dir) {
		data := mustRead(t, filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(name, "sha256:")))
		if sum := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(data))); sum != name {
			t.Errorf("blob %s is %s", name, sum)
		}
	}
}

func blobsIn(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, "blobs", "sha256"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, d := range list {
		names = append(names, "sha256:"+d.Name())
	}
	return names
}

func TestLoad(t *testing.T) {
	node, command := newFakeNode(t)
	p := newPacker(t, Options{Load: command})
	dir := project(t)
	first := publish(t, p, specOf(dir))
	if want := "stead.local/shop-api@" + first.Digest; first.Reference != want {
		t.Errorf("reference %s, want %s", first.Reference, want)
	}
	index, err := layout.ImageIndexFromPath(filepath.Join(node, "all"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index, validate.Fast); err != nil { // which knows nothing of zstd
		t.Error(err)
	}
	sound(t, filepath.Join(node, "all"))
	write(t, dir, "bin/api", amd64("two"), 0o755)
	second := publish(t, p, specOf(dir))
	came := blobsIn(t, filepath.Join(node, "last"))
	if len(came) != 3 || !slices.Contains(came, second.Digest) || !slices.Contains(came, second.Platforms[0].Layers[2].Digest) {
		t.Errorf("%q travelled: want manifest, configuration and one layer", came)
	}
	calls := func() string {
		text, err := os.ReadFile(filepath.Join(node, "calls"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	before := calls()
	publish(t, p, specOf(dir))
	if now := strings.TrimPrefix(calls(), before); strings.Contains(now, "import") {
		t.Errorf("what is there was sent again: %q", now)
	}
}

func TestLoadIndex(t *testing.T) {
	node, command := newFakeNode(t)
	publish(t, newPacker(t, Options{Load: command}), specOfBoth(t))
	index, err := layout.ImageIndexFromPath(filepath.Join(node, "all"))
	if err != nil {
		t.Fatal(err)
	}
	if err := validate.Index(index, validate.Fast); err != nil { // which knows nothing of zstd
		t.Error(err)
	}
	sound(t, filepath.Join(node, "all"))
}

// TestLoadAgainWithEverything: a node that has dropped a blob since it was
// asked is sent all of them.
func TestLoadAgainWithEverything(t *testing.T) {
	node, command := newFakeNode(t)
	p := newPacker(t, Options{Load: command})
	dir := project(t)
	publish(t, p, specOf(dir))
	write(t, dir, "bin/api", amd64("two"), 0o755)
	write(t, node, "fail", nil, 0o600)
	publish(t, p, specOf(dir))
	if came := blobsIn(t, filepath.Join(node, "last")); len(came) != 5 {
		t.Errorf("%d blobs, want all of them", len(came))
	}
}

func TestLoadFails(t *testing.T) {
	node, command := newFakeNode(t)
	write(t, node, "forget", nil, 0o600)
	for name, c := range map[string]struct {
		command []string
		class   error
		want    string
		hint    string
	}{
		"no such command":   {[]string{filepath.Join(node, "none")}, runtime.Invalid, "none", "--load"},
		"says no":           {[]string{"sh", "-c", "echo permission denied >&2; exit 1"}, runtime.Unavailable, "permission denied", ""},
		"another namespace": {command, runtime.Unavailable, "does not list it", "-n k8s.io"},
		"does not read":     {[]string{"sh", "-c", `[ "$2" = ls ] || { exec <&-; echo broken >&2; exit 1; }`, "x"}, runtime.Unavailable, "broken", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newPacker(t, Options{Load: c.command}).Pack(context.Background(), specOf(project(t)))
			if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.want) || !strings.Contains(runtime.Hint(err), c.hint) {
				t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
			}
		})
	}
}

func TestTail(t *testing.T) {
	var end tail
	for range 100 {
		if _, err := io.WriteString(&end, strings.Repeat("x", 100)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.WriteString(&end, "the reason\n"); err != nil {
		t.Fatal(err)
	}
	if s := end.String(); len(s) > maxTail || !strings.HasSuffix(s, "the reason") {
		t.Errorf("%d bytes, ending in %q", len(s), s[len(s)-20:])
	}
}

// FuzzTarNames: whatever a file is called, it is refused or lies in the layer
// below the root of the image, by its own name, and changes nothing else.
func FuzzTarNames(f *testing.F) {
	for _, name := range []string{"a", "../a", "/etc/passwd", "a/../../b", ".wh.a", "a/.wh..wh..opq", "", ".", "a//b", "a\x00b", "ä", "a\nb", "a\\b", strings.Repeat("x/", 200) + "y", "\xff", "a/"} {
		f.Add(name, "target")
	}
	f.Fuzz(func(t *testing.T, name, target string) {
		for _, e := range []entry{
			{name: name, mode: 0o644, data: []byte("content")},
			{name: name, mode: os.ModeSymlink | 0o777, target: target},
			{name: name, mode: os.ModeDir | 0o755},
		} {
			var out strings.Builder
			if err := newContents(nil, old.Truncate(1e9), []entry{e}).writeTar(context.Background(), &out); err != nil {
				continue
			}
			in := tar.NewReader(strings.NewReader(out.String()))
			h, err := in.Next()
			if err != nil {
				t.Fatalf("name %q: %v", name, err)
			}
			clean := strings.TrimSuffix(h.Name, "/")
			if clean != name || !filepath.IsLocal(clean) || strings.Contains("/"+clean, "/.wh.") || h.Linkname != e.target || h.Uid != 0 || h.Mode != int64(e.mode.Perm()) {
				t.Fatalf("name %q, target %q became %+v", name, target, h)
			}
			if _, err := in.Next(); err != io.EOF {
				t.Fatalf("name %q: more than one entry, or %v", name, err)
			}
		}
	})
}

// FuzzLocalName: what a manifest names stays below the service's directory.
func FuzzLocalName(f *testing.F) {
	for _, name := range []string{"a", "./a", "../a", "a/../..", "/a", "", "a/./b", "a\x00"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		rel, err := localName(name)
		if err != nil {
			return
		}
		if !filepath.IsLocal(rel) || strings.ContainsRune(rel, 0) || filepath.Clean(rel) != rel {
			t.Fatalf("%q became %q", name, rel)
		}
	})
}

// TestSentOnce: of calls for the same image one sends it; when that is given
// up, another one does.
func TestSentOnce(t *testing.T) {
	p := newPacker(t, Options{Load: []string{"true"}})
	m, err := p.make(context.Background(), specOf(project(t)))
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		send := func(ctx context.Context, _ *product) (string, error) {
			sent++
			select {
			case <-ctx.Done():
				return "", ctx.Err()
			case <-time.After(time.Minute):
				return "there", nil
			}
		}
		first, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		calls.Go(func() {
			if _, err := p.deliver(first, m, send); !errors.Is(err, context.Canceled) {
				t.Errorf("given up: %v", err)
			}
		})
		synctest.Wait()
		for range 2 {
			calls.Go(func() {
				if ref, err := p.deliver(t.Context(), m, send); ref != "there" || err != nil {
					t.Errorf("%q, %v", ref, err)
				}
			})
		}
		impatient, end := context.WithTimeout(t.Context(), time.Second)
		defer end()
		if _, err := p.deliver(impatient, m, send); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("who waits for another call is held: %v", err)
		}
		synctest.Wait()
		if sent != 1 {
			t.Errorf("sent %d times at once", sent)
		}
		cancel()
		calls.Wait()
		if sent != 2 {
			t.Errorf("sent %d times", sent)
		}
	})
}
