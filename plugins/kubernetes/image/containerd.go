package image

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/types"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/stead-dev/stead/runtime"
)

// socketScheme begins the address of a containerd's socket, as kubelet and
// crictl take it.
const socketScheme = "unix://"

// nodeNamespace is the one in which Kubernetes keeps its images
// (containerd, internal/cri/constants).
const nodeNamespace = "k8s.io"

// containerd is one that is spoken to by its own API, through its socket
// (github.com/containerd/containerd/api). A connection is made when it is
// needed, and again when it is lost.
type containerd struct {
	socket  string
	conn    *grpc.ClientConn
	content content.ContentClient
	images  images.ImagesClient
	leases  leases.LeasesClient
}

// newContainerd takes an address like unix:///run/containerd/containerd.sock.
func newContainerd(address string) (*containerd, error) {
	socket, ok := strings.CutPrefix(address, socketScheme)
	if !ok || !filepath.IsAbs(socket) {
		return nil, runtime.WithHint(fmt.Errorf("images: the address %q is not that of a socket: %w", address, runtime.Invalid),
			"write it like unix:///run/containerd/containerd.sock")
	}
	dial := func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	conn, err := grpc.NewClient("passthrough:///containerd", grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, fmt.Errorf("images: containerd at %s: %w", socket, err)
	}
	return &containerd{socket, conn, content.NewContentClient(conn), images.NewImagesClient(conn), leases.NewLeasesClient(conn)}, nil
}

// leaseTime is how long blobs that no image names yet are kept for a process
// that has died.
const leaseTime = time.Hour

// maxUploads is how many blobs travel side by side. Each ends with a write
// through to the node's disk.
const maxUploads = 4

// load brings an image into containerd, and leaves it to the node to unpack
// its layers when it makes the first container (containerd, internal/cri/opts,
// WithNewSnapshot): it does so while the sandbox is made.
func (c *containerd) load(ctx context.Context, m *product) (string, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", nodeNamespace)
	ref := m.loaded()
	_, err := c.images.Get(ctx, &images.GetImageRequest{Name: ref})
	if err == nil {
		return ref, nil
	}
	if status.Code(err) == codes.NotFound {
		err = c.put(ctx, m, ref)
	}
	if err != nil {
		return "", c.explain(ctx, err)
	}
	return ref, nil
}

// put sends what the node lacks. Until the image names the blobs a lease keeps
// the node from throwing them away.
func (c *containerd) put(ctx context.Context, m *product, ref string) error {
	lease := &leases.CreateRequest{ID: "stead-" + rand.Text(), Labels: map[string]string{
		"containerd.io/gc.expire": time.Now().Add(leaseTime).UTC().Format(time.RFC3339),
	}}
	if _, err := c.leases.Create(ctx, lease); err != nil {
		return err
	}
	defer func() { // what it kept is named now, or is to go
		_, _ = c.leases.Delete(context.WithoutCancel(ctx), &leases.DeleteRequest{ID: lease.ID})
	}()
	leased := metadata.AppendToOutgoingContext(ctx, "containerd-lease", lease.ID)
	for _, img := range m.images {
		if err := c.putImage(leased, img); err != nil {
			return err
		}
	}
	target, err := describe(m.whole)
	if err != nil {
		return err
	}
	if len(m.images) > 1 {
		if err := c.putManifest(leased, m.whole, gcLabels("m", m.manifests())); err != nil {
			return err
		}
	}
	_, err = c.images.Create(leased, &images.CreateImageRequest{Image: &images.Image{Name: ref, Target: target}})
	if status.Code(err) == codes.AlreadyExists { // its name has its digest
		return nil
	}
	return err
}

// putImage sends the layers and the configuration of one platform, and then
// its manifest.
func (c *containerd) putImage(ctx context.Context, img platformImage) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	name, err := img.ConfigName()
	if err != nil {
		return err
	}
	var digests []v1.Hash
	side, sideCtx := errgroup.WithContext(ctx)
	side.SetLimit(maxUploads)
	side.Go(func() error { return c.putBlob(sideCtx, name, bytes.NewReader(config), int64(len(config)), nil) })
	for _, l := range layers {
		digest, err := l.Digest()
		if err != nil {
			return errors.Join(err, side.Wait())
		}
		digests = append(digests, digest)
		side.Go(func() error { return c.putLayer(sideCtx, l) })
	}
	if err := side.Wait(); err != nil {
		return err
	}
	labels := gcLabels("l", digests)
	labels["containerd.io/gc.ref.content.config"] = name.String()
	return c.putManifest(ctx, img.Image, labels)
}

// gcLabels say that a blob needs others: what nothing needs is thrown away
// (containerd, docs/garbage-collection.md).
func gcLabels(kind string, digests []v1.Hash) map[string]string {
	labels := map[string]string{}
	for i, digest := range digests {
		labels["containerd.io/gc.ref.content."+kind+"."+strconv.Itoa(i)] = digest.String()
	}
	return labels
}

func (c *containerd) putLayer(ctx context.Context, l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil {
		return err
	}
	size, err := l.Size()
	if err != nil {
		return err
	}
	from, err := l.Compressed()
	if err != nil {
		return fmt.Errorf("open layer %s: %w", digest, err)
	}
	defer from.Close()
	return c.putBlob(ctx, digest, from, size, nil)
}

func (c *containerd) putManifest(ctx context.Context, of artifact, labels map[string]string) error {
	raw, err := of.RawManifest()
	if err != nil {
		return err
	}
	digest, err := of.Digest()
	if err != nil {
		return err
	}
	return c.putBlob(ctx, digest, bytes.NewReader(raw), int64(len(raw)), labels)
}

// uploadPiece is how much of a blob is sent at once: containerd takes 16 MiB at most.
const uploadPiece = 256 << 10

// putBlob sends a blob, unless it is there: then it comes under the lease all
// the same.
func (c *containerd) putBlob(ctx context.Context, digest v1.Hash, from io.Reader, size int64, labels map[string]string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream, and with it a reader of answers
	to, err := c.content.Write(ctx)
	if err != nil {
		return err
	}
	req := &content.WriteContentRequest{Action: content.WriteAction_WRITE, Ref: "stead-" + rand.Text(), Total: size, Expected: digest.String()}
	answers := make(chan error, 1)
	go func() { answers <- committed(to) }() // ends with the stream
	buffer := make([]byte, min(size, uploadPiece))
	for req.Action != content.WriteAction_COMMIT {
		n, err := io.ReadFull(from, buffer)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read blob %s: %w", digest, err)
		}
		req.Data = buffer[:n]
		if req.Offset+int64(n) == size {
			req.Action, req.Labels = content.WriteAction_COMMIT, labels
		}
		if to.Send(req) != nil {
			break // the answer has the reason
		}
		req.Offset += int64(n)
	}
	if err := <-answers; status.Code(err) != codes.AlreadyExists {
		return err
	}
	return nil
}

// committed reads answers until the blob is there, or will not be.
func committed(to content.Content_WriteClient) error {
	for {
		switch answer, err := to.Recv(); {
		case err != nil:
			return err
		case answer.Action == content.WriteAction_COMMIT:
			return nil
		}
	}
}

// manifests are the digests of those that an index lists.
func (m *product) manifests() []v1.Hash {
	var digests []v1.Hash
	for _, img := range m.images {
		digests = append(digests, img.digest)
	}
	return digests
}

// describe is what an image's name stands for.
func describe(a artifact) (*types.Descriptor, error) {
	raw, err := a.RawManifest()
	if err != nil {
		return nil, err
	}
	digest, err := a.Digest()
	if err != nil {
		return nil, err
	}
	media, err := a.MediaType()
	if err != nil {
		return nil, err
	}
	return &types.Descriptor{MediaType: string(media), Digest: digest.String(), Size: int64(len(raw))}, nil
}

// explain says of what containerd has answered, or not, what to do about it.
func (c *containerd) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	said, ok := status.FromError(err)
	if !ok {
		return err
	}
	if said.Code() != codes.Unavailable {
		return fmt.Errorf("containerd at %s: %s: %w", c.socket, said.Message(), runtime.Unavailable)
	}
	conn, dialled := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	if dialled == nil {
		_ = conn.Close()
		return fmt.Errorf("containerd at %s: %s: %w", c.socket, said.Message(), runtime.Unavailable)
	}
	hint := "is containerd running, and is that its socket? k3s has /run/k3s/containerd/containerd.sock"
	class := runtime.Unavailable
	switch {
	case errors.Is(dialled, fs.ErrPermission):
		class = runtime.Invalid
		hint = "only root may use it, as a rule: write load: sudo ctr -n k8s.io, or ctr of a node that you may use"
	case errors.Is(dialled, fs.ErrNotExist):
		if _, err := os.Stat(filepath.Dir(c.socket)); err != nil {
			class = runtime.Invalid
		}
	}
	return runtime.WithHint(fmt.Errorf("containerd: %w: %w", dialled, class), hint)
}
