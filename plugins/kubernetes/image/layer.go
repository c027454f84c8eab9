package image

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/stead-dev/stead/runtime"
)

// contents is what a layer is made from.
type contents struct {
	root    *os.Root // where sources of entries are; may be nil when there are none
	entries []entry  // in the order of their names
	epoch   time.Time
}

func newContents(root *os.Root, epoch time.Time, entries []entry) contents {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return contents{root: root, entries: entries, epoch: epoch}
}

// writeTar writes the layer's files. They say nothing of when, where and by
// whom they were made.
func (c contents) writeTar(ctx context.Context, w io.Writer) error {
	out := tar.NewWriter(w)
	for _, e := range c.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tarHeader(e, c.epoch)
		if err != nil {
			return err
		}
		if err := out.WriteHeader(h); err != nil {
			return fmt.Errorf("pack %s: %w", e.name, err)
		}
		if err := c.copyFile(out, e); err != nil {
			return err
		}
	}
	return out.Close()
}

// whiteout begins the names by which a layer deletes what is below it
// (OCI image specification, layer.md).
const whiteout = ".wh."

// tarHeader is the last to look at a name: what passes stays in the image's
// root, and is a file.
func tarHeader(e entry, epoch time.Time) (*tar.Header, error) {
	if !fs.ValidPath(e.name) || e.name == "." || strings.ContainsRune(e.name, 0) || strings.ContainsRune(e.target, 0) {
		return nil, fmt.Errorf("file %q: an image cannot have such a name: %w", e.name, runtime.Invalid)
	}
	for part := range strings.SplitSeq(e.name, "/") {
		if strings.HasPrefix(part, whiteout) {
			return nil, runtime.WithHint(fmt.Errorf("file %q: a name that begins with %s means a deletion in an image: %w", e.name, whiteout, runtime.Invalid),
				"rename it, or name the files to pack one by one")
		}
	}
	h := &tar.Header{Name: e.name, Uid: e.owner, Gid: e.owner, ModTime: epoch, Mode: int64(e.mode.Perm())}
	if e.mode&fs.ModeSticky != 0 {
		h.Mode |= 0o1000
	}
	switch e.mode.Type() {
	case fs.ModeDir:
		h.Typeflag, h.Name = tar.TypeDir, e.name+"/"
	case fs.ModeSymlink:
		h.Typeflag, h.Linkname = tar.TypeSymlink, e.target
	default:
		h.Typeflag, h.Size = tar.TypeReg, int64(len(e.data))
		if e.info != nil {
			h.Size = e.info.Size()
		}
	}
	return h, nil
}

func (c contents) copyFile(w io.Writer, e entry) error {
	if e.mode.Type() != 0 {
		return nil
	}
	if e.source == "" {
		_, err := w.Write(e.data)
		return err
	}
	f, err := c.root.Open(e.source)
	if err != nil {
		return changed(e.source, err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !os.SameFile(info, e.info) {
		return changed(e.source, err)
	}
	// One byte more than there was is enough to see that it grew.
	if n, err := io.Copy(w, io.LimitReader(f, e.info.Size()+1)); err != nil || n != e.info.Size() {
		return changed(e.source, err)
	}
	if info, err := f.Stat(); err != nil || !info.ModTime().Equal(e.info.ModTime()) {
		return changed(e.source, err)
	}
	return nil
}

// changed is what becomes of an image whose files are being written.
func changed(source string, err error) error {
	if err == nil || errors.Is(err, tar.ErrWriteTooLong) {
		err = errors.New("it is another one now")
	}
	return runtime.WithHint(fmt.Errorf("%s changed while it was packed: %w: %w", source, err, runtime.Unavailable), "the next save packs it again")
}

// blob is a layer that was made: compressed, in the cache.
type blob struct {
	file         string
	packing      packing
	digest, diff v1.Hash // of the compressed and the plain bytes
	size         int64   // compressed
}

// compress writes the layer to f.
func (c contents) compress(ctx context.Context, f io.Writer, how packing) (blob, error) {
	packed, plain := newMeter(f), newMeter(nil)
	zip, err := how.to(packed)
	if err != nil {
		return blob{}, fmt.Errorf("write a layer: %w", err)
	}
	err = c.writeTar(ctx, io.MultiWriter(zip, plain))
	if closed := zip.Close(); err == nil && closed != nil {
		err = fmt.Errorf("write a layer: %w", closed)
	}
	if err != nil {
		return blob{}, err
	}
	return blob{packing: how, digest: packed.sum(), diff: plain.sum(), size: packed.n}, nil
}

// meter counts and hashes what goes through it.
type meter struct {
	w    io.Writer // nil: nowhere
	hash hash.Hash
	n    int64
}

func newMeter(w io.Writer) *meter { return &meter{w: w, hash: sha256.New()} }

func (m *meter) Write(p []byte) (int, error) {
	m.hash.Write(p)
	m.n += int64(len(p))
	if m.w == nil {
		return len(p), nil
	}
	return m.w.Write(p)
}

func (m *meter) sum() v1.Hash {
	return v1.Hash{Algorithm: "sha256", Hex: hex.EncodeToString(m.hash.Sum(nil))}
}

// layer is a blob as go-containerregistry wants it.
type layer struct {
	blob
	media types.MediaType
}

func (l layer) Digest() (v1.Hash, error)             { return l.digest, nil }
func (l layer) DiffID() (v1.Hash, error)             { return l.diff, nil }
func (l layer) Size() (int64, error)                 { return l.size, nil }
func (l layer) MediaType() (types.MediaType, error)  { return l.media, nil }
func (l layer) Compressed() (io.ReadCloser, error)   { return os.Open(l.file) }
func (l layer) Uncompressed() (io.ReadCloser, error) { return l.packing.open(l.file) }

// above returns the directories in which name lies, from the top down.
func above(name string) []string {
	var dirs []string
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		dirs = append(dirs, dir)
	}
	slices.Reverse(dirs)
	return dirs
}
