package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// loadedPrefix is below what images are known that no registry has. Nobody
// can pull from it: it is a name on this machine's network at most (RFC 6762).
const loadedPrefix = "stead.local/"

// node is one of containerd, for one image.
type node struct {
	p      *Packer
	ctx    context.Context
	once   sync.Once
	asking sync.WaitGroup
	looks  bool
	there  map[string]bool // its blobs
}

// look asks the node what it has, while a layer is made. Where none is, the
// image is most often there.
func (n *node) look() {
	n.once.Do(func() {
		n.looks = true
		n.asking.Go(func() { n.there = n.p.blobsThere(n.ctx) })
	})
}

func (n *node) blobs() map[string]bool {
	n.look()
	n.asking.Wait()
	return n.there
}

// load brings an image into the containerd of a node. Nothing travels when it
// is there already, and else only the blobs that are not.
func (n *node) load(ctx context.Context, m *product) (string, error) {
	p, ref := n.p, m.loaded()
	if !n.looks || n.blobs()[m.digest.String()] { // a blob may still have another name
		if images, err := p.images(ctx); err != nil || slices.Contains(images, ref) {
			return ref, err
		}
	}
	there := n.blobs()
	step := m.isStep(there)
	said, err := p.importImage(ctx, m, ref, there, step)
	if err != nil && ctx.Err() == nil {
		p.o.Log.Info("load the image again, with all of its layers", "image", ref, "err", err)
		step = false
		said, err = p.importImage(ctx, m, ref, nil, step)
	}
	if err != nil {
		return "", err
	}
	if step || strings.Contains(said, "unpacking "+ref) { // ctr's own words
		return ref, nil
	}
	if images, err := p.images(ctx); err != nil || slices.Contains(images, ref) {
		return ref, err
	}
	return "", runtime.WithHint(fmt.Errorf("%s has taken the image, and does not list it: %w", p.command(), runtime.Unavailable),
		"is that command for the namespace that Kubernetes uses (ctr -n k8s.io)?")
}

func (p *Packer) command() string { return strings.Join(p.o.Load, " ") }

func (p *Packer) images(ctx context.Context) ([]string, error) {
	out, err := p.ctr(ctx, nil, "images", "ls", "-q")
	return strings.Fields(out), err
}

// blobsThere returns what need not travel. Not to know is to send all of it:
// some nodes throw layers away once they are unpacked.
func (p *Packer) blobsThere(ctx context.Context) map[string]bool {
	there := map[string]bool{}
	out, err := p.ctr(ctx, nil, "content", "ls", "-q")
	if err != nil {
		return nil
	}
	for digest := range strings.FieldsSeq(out) {
		there[digest] = true
	}
	return there
}

// maxStep is the most that a node is left to unpack when it makes a container:
// it does so within the time that a kubelet gives it for that.
const maxStep = 128 << 20

// isStep reports whether a node that has the blobs there lacks no more than one
// layer of m, and that not a large one. It unpacks that by itself when it makes
// the first container (containerd, internal/cri/opts, WithNewSnapshot), while
// the sandbox is made, and nobody has to wait for it before.
func (m *product) isStep(there map[string]bool) bool {
	lacks, size := 0, int64(0)
	for _, img := range m.images {
		for _, l := range img.layers {
			if !there[l.Digest] {
				lacks++
				size += l.Size
			}
		}
	}
	return len(there) > 0 && lacks <= 1 && size <= maxStep
}

func (p *Packer) importImage(ctx context.Context, m *product, ref string, there map[string]bool, step bool) (said string, err error) {
	args := []string{"images", "import", "-"}
	if step {
		args = []string{"images", "import", "--no-unpack", "-"}
	}
	return p.ctr(ctx, func(w io.Writer) error { return m.writeArchive(ctx, w, ref, there) }, args...)
}

// ctrGrace is how long a command that has been killed, or has ended, may leave
// its pipes open to children.
const ctrGrace = 2 * time.Second

// ctr runs the command of Options.Load with arguments behind it. Its input is
// what write writes.
func (p *Packer) ctr(ctx context.Context, write func(io.Writer) error, args ...string) (string, error) {
	argv := append(slices.Clone(p.o.Load), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.WaitDelay = ctrGrace
	var out bytes.Buffer
	said := &tail{}
	cmd.Stdout, cmd.Stderr = &out, said
	input, err := cmd.StdinPipe()
	if err != nil {
		return "", fmt.Errorf("run %s: %w", argv[0], err)
	}
	if err := cmd.Start(); err != nil {
		return "", runtime.WithHint(fmt.Errorf("run %s: %w: %w", argv[0], err, runtime.Invalid), "correct the command after --load")
	}
	var written error
	if write != nil {
		written = write(input)
	}
	written = errors.Join(written, input.Close())
	if err := cmd.Wait(); err != nil {
		return "", fmt.Errorf("run %s: %w: %s: %w", strings.Join(argv, " "), err, said, runtime.Unavailable)
	}
	// A command that ended well has had all that it wanted, unless we could not give it.
	if written != nil && !errors.Is(written, errPipe) {
		return "", written
	}
	return out.String(), nil
}

// tail keeps the end of what a command complains about.
type tail struct{ text []byte }

const maxTail = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-maxTail):]
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.text)) }
