package image

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

func layersIn(t *testing.T, p *Packer) []os.FileInfo {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(p.o.Cache, "layers"))
	if err != nil {
		t.Fatal(err)
	}
	var infos []os.FileInfo
	for _, d := range list {
		info, err := d.Info()
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	return infos
}

// settle makes a tree's files look as if they had been there for long: only
// the inode's own time cannot be set, so settling is waited for.
func settle(t *testing.T, dir string) {
	t.Helper()
	var names []string
	err := filepath.Walk(dir, func(at string, _ os.FileInfo, err error) error {
		names = append(names, at)
		return err
	})
	for _, at := range names {
		if e := os.Chtimes(at, old, old); e != nil {
			err = e
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * settling)
}

// TestUnchangedLayerIsNotRead: with the content gone from below its name, the
// layer can only come from the cache.
func TestUnchangedLayerIsNotRead(t *testing.T) {
	dir := project(t)
	settle(t, dir)
	p := newPacker(t, Options{})
	first := makeImage(t, p, specOf(dir))
	before := layersIn(t, p)
	second := makeImage(t, p, specOf(dir))
	if first.digest != second.digest {
		t.Errorf("digest %s, was %s", second.digest, first.digest)
	}
	after := layersIn(t, p)
	for i := range before {
		if !os.SameFile(before[i], after[i]) {
			t.Errorf("layer %s was written again", after[i].Name())
		}
	}
	for _, info := range after { // gone from the disk, or damaged: made anew
		if err := os.Truncate(filepath.Join(p.o.Cache, "layers", info.Name()), 1); err != nil {
			t.Fatal(err)
		}
	}
	third := makeImage(t, p, specOf(dir))
	if third.digest != first.digest {
		t.Errorf("digest %s, was %s", third.digest, first.digest)
	}
	for _, info := range layersIn(t, p) {
		if info.Size() <= 1 {
			t.Errorf("layer %s is still damaged", info.Name())
		}
	}
}

// TestLayersOutliveTheProcess: a program that a build has written anew, with
// the same content, is not packed again by the next process, unless the layer
// is damaged.
func TestLayersOutliveTheProcess(t *testing.T) {
	dir, cache := project(t), t.TempDir()
	first := makeImage(t, newPacker(t, Options{Cache: cache}), specOf(dir))
	program := mustRead(t, filepath.Join(dir, "bin/api"))
	for _, damaged := range []bool{false, true} {
		if err := os.Remove(filepath.Join(dir, "bin/api")); err != nil {
			t.Fatal(err)
		}
		write(t, dir, "bin/api", program, 0o755)
		before := layersIn(t, newPacker(t, Options{Cache: cache}))
		for _, info := range before {
			if at := filepath.Join(cache, "layers", info.Name()); damaged { // by a power cut: the length is right
				write(t, filepath.Dir(at), info.Name(), make([]byte, info.Size()), 0o600)
			}
		}
		p := newPacker(t, Options{Cache: cache})
		if again := makeImage(t, p, specOf(dir)); again.digest != first.digest {
			t.Errorf("damaged %v: digest %s, was %s", damaged, again.digest, first.digest)
		}
		for i, info := range layersIn(t, p) {
			if os.SameFile(before[i], info) == damaged {
				t.Errorf("damaged %v: layer %s: written again %v", damaged, info.Name(), !damaged)
			}
			if sum := fmt.Sprintf("%x", sha256.Sum256(mustRead(t, filepath.Join(cache, "layers", info.Name())))); sum != info.Name() {
				t.Errorf("damaged %v: layer %s has %s", damaged, info.Name(), sum)
			}
		}
	}
}

// TestNotesAreBelieved only where they can be read, and where the layer is.
func TestNotesAreBelieved(t *testing.T) {
	dir, cache := project(t), t.TempDir()
	first := makeImage(t, newPacker(t, Options{Cache: cache}), specOf(dir))
	notes, err := filepath.Glob(filepath.Join(cache, "made", "*"))
	if err != nil || len(notes) != 3 {
		t.Fatalf("%d notes, %v", len(notes), err)
	}
	for _, text := range []string{"", "{", `{"diff":"x"}`, `{"size":-1}`} {
		for _, note := range notes {
			write(t, filepath.Dir(note), filepath.Base(note), []byte(text), 0o600)
		}
		if again := makeImage(t, newPacker(t, Options{Cache: cache}), specOf(dir)); again.digest != first.digest {
			t.Errorf("note %q: digest %s, was %s", text, again.digest, first.digest)
		}
	}
	p := newPacker(t, Options{Cache: cache, Limit: 1})
	makeImage(t, p, specOf(dir))
	p.cache.hold()() // the last one prunes
	if left, _ := filepath.Glob(filepath.Join(cache, "made", "*")); len(left) != 0 {
		t.Errorf("notes of layers that are gone: %q", left)
	}
}

// TestSameSizeAndTime: a file that is replaced by one of the same size and
// time is another file.
func TestSameSizeAndTime(t *testing.T) {
	dir := project(t)
	settle(t, dir)
	p := newPacker(t, Options{})
	first := build(t, p, specOf(dir))
	write(t, dir, "bin/next", amd64("two"), 0o755)
	if err := os.Chtimes(filepath.Join(dir, "bin/next"), old, old); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dir, "bin/next"), filepath.Join(dir, "bin/api")); err != nil {
		t.Fatal(err)
	}
	if second := build(t, p, specOf(dir)); first.Digest == second.Digest {
		t.Error("the old program was packed")
	}
}

// TestJustWritten: what was written within a clock tick may be written again
// in the same one, and is not remembered.
func TestJustWritten(t *testing.T) {
	dir := project(t)
	spec := specOf(dir)
	spec.Package.Files = nil
	tree, err := gather(spec)
	if err != nil {
		t.Fatal(err)
	}
	defer tree.close()
	c := newContents(tree.root, time.Unix(0, 0), placed(spec.Package, tree.found))
	info, err := os.Stat(filepath.Join(dir, "bin/api"))
	if err != nil {
		t.Fatal(err)
	}
	if _, settled := c.fingerprint(info.ModTime(), gzipped); settled {
		t.Error("believed at once")
	}
	if _, settled := c.fingerprint(info.ModTime().Add(time.Second), gzipped); !settled {
		t.Error("not believed after a second")
	}
}

func TestCacheIsBounded(t *testing.T) {
	dir := project(t)
	const limit = 64 << 10
	p := newPacker(t, Options{Limit: limit})
	noise := make([]byte, 20<<10)
	for i := range 8 {
		for j := range noise { // nothing that gzip could make smaller
			noise[j] = byte((i + 1) * (j*j*31 + j>>3*17 + j>>7*113) >> 4)
		}
		write(t, dir, "bin/api", amd64(string(noise)), 0o755)
		build(t, p, specOf(dir))
		if size := diskSize(filepath.Join(p.o.Cache, "layers")); size > limit {
			t.Fatalf("%d bytes after build %d", size, i)
		}
	}
	if n := len(layersIn(t, p)); n < 2 {
		t.Errorf("%d layers left: more was removed than had to be", n)
	}
}

// TestPruneWaits: nothing goes while somebody packs or sends.
func TestPruneWaits(t *testing.T) {
	p := newPacker(t, Options{Limit: 1})
	release := p.cache.hold()
	m := makeImage(t, p, specOf(project(t)))
	build(t, p, specOf(project(t)))
	if n := len(layersIn(t, p)); n != len(m.images[0].layers) {
		t.Errorf("%d layers are left of an image in use", n)
	}
	release()
	if n := len(layersIn(t, p)); n != 0 {
		t.Errorf("%d layers are left", n)
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	cache := t.TempDir()
	newPacker(t, Options{Cache: cache})
	write(t, cache, "layers/"+temporary+"1", []byte("half"), 0o600)
	write(t, cache, "bases/"+temporary+"2/index.json", []byte("half"), 0o600)
	newPacker(t, Options{Cache: cache})
	if left, _ := filepath.Glob(filepath.Join(cache, "*", "*")); len(left) != 0 {
		t.Errorf("left: %q", left)
	}
}

func TestCacheDirectory(t *testing.T) {
	if _, err := New(Options{Cache: "here"}); !errors.Is(err, runtime.Invalid) {
		t.Errorf("err = %v", err)
	}
}

// TestChangedWhilePacked: no image is made of half of one version and half of
// another.
func TestChangedWhilePacked(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, dir string){
		"replaced": func(t *testing.T, dir string) {
			if err := os.Rename(filepath.Join(dir, "web/run.sh"), filepath.Join(dir, "bin/api")); err != nil {
				t.Fatal(err)
			}
		},
		"grown": func(t *testing.T, dir string) { write(t, dir, "bin/api", amd64("one and more"), 0o755) },
		"cut":   func(t *testing.T, dir string) { write(t, dir, "bin/api", nil, 0o755) },
		"gone":  func(t *testing.T, dir string) { _ = os.Remove(filepath.Join(dir, "bin/api")) },
		"a link": func(t *testing.T, dir string) {
			_ = os.Remove(filepath.Join(dir, "bin/api"))
			_ = os.Symlink("/etc/passwd", filepath.Join(dir, "bin/api"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := project(t)
			spec := specOf(dir)
			tree, err := gather(spec)
			if err != nil {
				t.Fatal(err)
			}
			defer tree.close()
			change(t, dir)
			p := newPacker(t, Options{})
			_, err = p.cache.layer(context.Background(), newContents(tree.root, p.epoch, placed(spec.Package, tree.found)), gzipped, func() {})
			if !errors.Is(err, runtime.Unavailable) || !strings.Contains(err.Error(), "bin/api changed while it was packed") {
				t.Errorf("err = %v", err)
			}
			if n := len(layersIn(t, p)); n != 0 {
				t.Errorf("%d files are left of it", n)
			}
		})
	}
}
