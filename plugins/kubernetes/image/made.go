package image

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// made is what the cache notes of a layer, for processes after us: a build
// writes its programs anew even where nothing has changed, so they are known
// by their content alone.
type made struct {
	Diff    v1.Hash `json:"diff"` // of the plain bytes
	Size    int64   `json:"size"` // compressed
	Packing packing `json:"packing"`
}

// key is what a layer is known by.
func (m made) key() string { return fmt.Sprint(m.Diff, m.Packing) }

// note keeps what a layer is. Without it the layer is made again some day, so
// it need not survive a power cut.
func (c *cache) note(b blob) error {
	m := made{b.diff, b.size, b.packing}
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("note a layer: %w", err)
	}
	if err := replace(filepath.Join(c.dir, "made", b.digest.Hex), text); err != nil {
		return fmt.Errorf("note a layer: %w", err)
	}
	return nil
}

// remember reads those notes. What cannot be read is made again.
func (c *cache) remember() {
	list, _ := os.ReadDir(filepath.Join(c.dir, "made"))
	for _, d := range list {
		if strings.HasPrefix(d.Name(), temporary) || len(c.before) >= maxKnown {
			continue
		}
		var m made
		text, err := os.ReadFile(filepath.Join(c.dir, "made", d.Name()))
		if err != nil || json.Unmarshal(text, &m) != nil {
			continue
		}
		c.before[m.key()] = blob{
			file: filepath.Join(c.dir, "layers", d.Name()), packing: m.Packing,
			digest: v1.Hash{Algorithm: "sha256", Hex: d.Name()}, diff: m.Diff, size: m.Size,
		}
	}
}

// recall returns the layer that a process before us made of the same content,
// if it did. It reads all files, and so is worth its time only once: what is
// packed again has changed.
func (c *cache) recall(ctx context.Context, what contents, how packing) (blob, bool) {
	place := what.place()
	c.mu.Lock()
	first := len(c.before) > 0 && !c.met[place]
	c.met[place] = true
	c.mu.Unlock()
	if !first {
		return blob{}, false
	}
	plain := newMeter(nil)
	if what.writeTar(ctx, plain) != nil { // whoever packs it says why
		return blob{}, false
	}
	c.mu.Lock()
	b, ok := c.before[made{Diff: plain.sum(), Packing: how}.key()]
	c.mu.Unlock()
	return b, ok && b.prove() == nil && b.touch() == nil
}

// prove reads the blob, and fails when it is not what its name says.
func (b blob) prove() error {
	f, err := os.Open(b.file)
	if err != nil {
		return err
	}
	defer f.Close()
	sum := newMeter(nil)
	if _, err := io.Copy(sum, f); err != nil {
		return err
	}
	if sum.sum() != b.digest {
		return fmt.Errorf("layer %s: %w", b.file, fs.ErrInvalid)
	}
	return nil
}
