package image

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// cache is a directory of layers and base images with a bound on its size, and
// what is known of files that were packed before.
//
//	layers/HEX       a compressed layer
//	made/HEX         what it was made from: its other digest
//	bases/HEX/       a base image, as an OCI layout
//	refs/HASH        the digest that a base's name meant last
//
// What is in it came there by rename. A layer of a process before us is believed
// once it was read and has its digest; a base is written through to the disk, as
// it is for long.
type cache struct {
	dir   string
	limit int64

	mu    sync.Mutex
	held  int             // calls that need what is in it
	known map[string]blob // by fingerprint of the files
	met   map[string]bool // places of which something was packed

	before map[string]blob // of processes before us, by content; not written
}

// maxKnown bounds what is remembered of layers. They are some 300 bytes each.
const maxKnown = 4096

func openCache(dir string, limit int64) (*cache, error) {
	if !filepath.IsAbs(dir) {
		return nil, fmt.Errorf("images: the cache directory %q is not absolute: %w", dir, runtime.Invalid)
	}
	for _, part := range []string{"layers", "made", "bases", "refs"} {
		if err := os.MkdirAll(filepath.Join(dir, part), 0o700); err != nil {
			return nil, fmt.Errorf("make the cache of images: %w", err)
		}
	}
	c := &cache{dir: dir, limit: limit, known: map[string]blob{}, met: map[string]bool{}, before: map[string]blob{}}
	c.remember()
	return c, c.sweep()
}

// temporary begins the names of what is being written.
const temporary = "tmp-"

// sweep removes what a process before us did not finish.
func (c *cache) sweep() error {
	left, err := filepath.Glob(filepath.Join(c.dir, "*", temporary+"*"))
	for _, name := range left {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

// hold keeps everything in the cache until the function that it returns is
// called. The last one to call it brings the cache below its limit.
func (c *cache) hold() (release func()) {
	c.mu.Lock()
	c.held++
	c.mu.Unlock()
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.held--; c.held == 0 {
			c.prune()
		}
	}
}

// layer returns the blob of what is to be packed, from the cache when nothing
// has changed since. Before anything is written it calls begin.
func (c *cache) layer(ctx context.Context, what contents, how packing, begin func()) (blob, error) {
	key, settled := what.fingerprint(time.Now(), how)
	c.mu.Lock()
	b, ok := c.known[key]
	c.mu.Unlock()
	if ok && b.touch() == nil {
		return b, nil
	}
	begin()
	b, ok = c.recall(ctx, what, how)
	if !ok {
		var err error
		if b, err = c.write(ctx, what, how); err != nil {
			return b, err
		}
	}
	if settled {
		c.know(key, b)
	}
	return b, nil
}

func (c *cache) know(key string, b blob) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.known) >= maxKnown {
		clear(c.known) // what is still in use comes back
		clear(c.met)
	}
	c.known[key] = b
}

// touch says that the blob is in use, and fails when it is gone.
func (b blob) touch() error {
	info, err := os.Stat(b.file)
	if err != nil {
		return err
	}
	if info.Size() != b.size {
		return fmt.Errorf("layer %s: %w", b.file, fs.ErrInvalid)
	}
	now := time.Now()
	return os.Chtimes(b.file, now, now)
}

func (c *cache) write(ctx context.Context, what contents, how packing) (b blob, err error) {
	f, err := os.CreateTemp(filepath.Join(c.dir, "layers"), temporary)
	if err != nil {
		return blob{}, fmt.Errorf("make a layer: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	b, err = what.compress(ctx, f, how)
	if err = errors.Join(err, f.Close()); err != nil {
		return blob{}, err
	}
	b.file = filepath.Join(c.dir, "layers", b.digest.Hex)
	if err = os.Rename(f.Name(), b.file); err != nil {
		return blob{}, fmt.Errorf("keep a layer: %w", err)
	}
	return b, c.note(b)
}

// replace writes a small file of the cache in one step: whoever reads it has
// the text before, or this one.
func replace(at string, text []byte) error {
	f, err := os.CreateTemp(filepath.Dir(at), temporary)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), at)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// settling is the time within which two writes to a file may have the same
// time stamp: kernels before 6.13 count in ticks of up to 10 ms.
const settling = 20 * time.Millisecond

// fingerprint identifies what would be packed without reading files, and says
// whether a change of them from now on would be seen.
func (c contents) fingerprint(now time.Time, how packing) (key string, settled bool) {
	sum := sha256.New()
	settled = true
	fmt.Fprintln(sum, how, c.epoch.Unix())
	for _, e := range c.entries {
		fmt.Fprintf(sum, "%q %o %d %q %d %x\n", e.name, e.mode, e.owner, e.target, len(e.data), sha256.Sum256(e.data))
		if e.info == nil {
			continue
		}
		id := identify(e.info)
		fmt.Fprintf(sum, "%q %q %d %d %+v\n", c.root.Name(), e.source, e.info.Size(), e.info.ModTime().UnixNano(), id)
		if now.Sub(e.info.ModTime()) < settling || now.Sub(time.Unix(0, id.changed)) < settling {
			settled = false
		}
	}
	return string(sum.Sum(nil)), settled
}

// place is where what is to be packed lies, whatever that is now.
func (c contents) place() string {
	sum := sha256.New()
	for _, e := range c.entries {
		fmt.Fprintf(sum, "%q %q\n", e.name, e.source)
	}
	if c.root != nil {
		fmt.Fprintln(sum, c.root.Name())
	}
	return string(sum.Sum(nil))
}

// held by nobody: prune removes what was not used for longest.
func (c *cache) prune() {
	type item struct {
		path string
		size int64
		used time.Time
	}
	var items []item
	var total int64
	for _, part := range []string{"layers", "bases"} {
		list, _ := os.ReadDir(filepath.Join(c.dir, part)) // what cannot be read is not counted
		for _, d := range list {
			info, err := d.Info()
			if err != nil || strings.HasPrefix(d.Name(), temporary) {
				continue
			}
			at := filepath.Join(c.dir, part, d.Name())
			items = append(items, item{at, diskSize(at), info.ModTime()})
			total += items[len(items)-1].size
		}
	}
	slices.SortFunc(items, func(a, b item) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.path, b.path)) })
	for _, i := range items {
		if total <= c.limit {
			return
		}
		if os.RemoveAll(i.path) == nil {
			total -= i.size
			_ = os.Remove(filepath.Join(c.dir, "made", filepath.Base(i.path))) // a layer's; a base has none
		}
	}
}

// diskSize is the length of a file, or of all files below a directory.
func diskSize(at string) int64 {
	var total int64
	_ = filepath.WalkDir(at, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
