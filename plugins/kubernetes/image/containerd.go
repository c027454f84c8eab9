package image

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/services/leases/v1"
	"github.com/containerd/containerd/api/types"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
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
	limit   time.Duration // for its first answer
	conn    *grpc.ClientConn
	content content.ContentClient
	images  images.ImagesClient
	leases  leases.LeasesClient
}

// dialAgain is how long at most an image is refused because containerd was away
// a moment ago, and answerLimit how long it may take to answer at all.
const (
	dialAgain   = time.Second
	answerLimit = 10 * time.Second
)

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
	again := backoff.DefaultConfig
	again.MaxDelay = dialAgain
	conn, err := grpc.NewClient("passthrough:///containerd", grpc.WithContextDialer(dial), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: again, MinConnectTimeout: answerLimit}))
	if err != nil {
		return nil, fmt.Errorf("images: containerd at %s: %w", socket, err)
	}
	return &containerd{socket, answerLimit, conn, content.NewContentClient(conn), images.NewImagesClient(conn), leases.NewLeasesClient(conn)}, nil
}

// leaseTime is how long blobs that no image names yet are kept for a process
// that has died.
const leaseTime = time.Hour

// endLease is how long its end is waited for, once nobody waits for the image.
const endLease = 2 * time.Second

// maxUploads is how many blobs travel side by side. Each ends with a write
// through to the node's disk.
const maxUploads = 4

// load brings an image into containerd, and leaves it to the node to unpack
// its layers when it makes the first container (containerd, internal/cri/opts,
// WithNewSnapshot): it does so while the sandbox is made.
func (c *containerd) load(ctx context.Context, m *product) (string, error) {
	ctx = metadata.AppendToOutgoingContext(ctx, "containerd-namespace", nodeNamespace)
	ref := m.loaded()
	there, err := c.has(ctx, ref)
	if err == nil && !there {
		err = c.put(ctx, m, ref)
	}
	if err != nil {
		return "", c.explain(ctx, err)
	}
	return ref, nil
}

// has is the first question, and finds out whether anybody answers.
func (c *containerd) has(ctx context.Context, ref string) (bool, error) {
	silent := runtime.WithHint(fmt.Errorf("containerd at %s does not answer for %v: %w", c.socket, c.limit, runtime.Unavailable),
		"look at its log, and start it anew")
	ctx, cancel := context.WithTimeoutCause(ctx, c.limit, silent)
	defer cancel()
	_, err := c.images.Get(ctx, &images.GetImageRequest{Name: ref})
	switch status.Code(err) {
	case codes.OK:
		return true, nil
	case codes.NotFound:
		return false, nil
	case codes.DeadlineExceeded, codes.Canceled:
		<-ctx.Done() // its clock may be a little ahead of ours
		return false, context.Cause(ctx)
	}
	return false, err
}

// put sends what the node lacks. Until the image names the blobs a lease keeps
// the node from throwing them away.
func (c *containerd) put(ctx context.Context, m *product, ref string) error {
	contents, manifests, err := m.parts()
	if err != nil {
		return err
	}
	lease := &leases.CreateRequest{ID: "stead-" + rand.Text(), Labels: map[string]string{
		"containerd.io/gc.expire": time.Now().Add(leaseTime).UTC().Format(time.RFC3339),
	}}
	if _, err := c.leases.Create(ctx, lease); err != nil {
		return err
	}
	defer func() { // what it kept is named now, or is to go
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endLease)
		defer cancel()
		_, _ = c.leases.Delete(ctx, &leases.DeleteRequest{ID: lease.ID})
	}()
	leased := metadata.AppendToOutgoingContext(ctx, "containerd-lease", lease.ID)
	if err := c.putAll(leased, contents, manifests); err != nil {
		return err
	}
	whole := manifests[len(manifests)-1]
	_, err = c.images.Create(leased, &images.CreateImageRequest{Image: &images.Image{Name: ref, Target: &types.Descriptor{
		MediaType: string(whole.MediaType), Digest: whole.Digest.String(), Size: whole.Size,
	}}})
	if status.Code(err) == codes.AlreadyExists { // its name has its digest
		return nil
	}
	return err
}

// putAll sends what manifests name before them.
func (c *containerd) putAll(ctx context.Context, contents, manifests []part) error {
	side, sideCtx := errgroup.WithContext(ctx)
	side.SetLimit(maxUploads)
	for _, one := range contents {
		side.Go(func() error { return c.putPart(sideCtx, one) })
	}
	if err := side.Wait(); err != nil {
		return err
	}
	for _, one := range manifests {
		if err := c.putPart(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// uploadPiece is how much of a blob is sent at once: containerd takes 16 MiB at most.
const uploadPiece = 256 << 10

// putPart sends a blob, unless it is there: then it comes under the lease all
// the same.
func (c *containerd) putPart(ctx context.Context, p part) error {
	from, err := p.open()
	if err != nil {
		return err
	}
	defer from.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the stream, and with it a reader of answers
	to, err := c.content.Write(ctx)
	if err != nil {
		return err
	}
	req := &content.WriteContentRequest{Action: content.WriteAction_WRITE, Ref: "stead-" + rand.Text(), Total: p.Size, Expected: p.Digest.String()}
	answers := make(chan error, 1)
	go func() { answers <- committed(to) }() // ends with the stream
	buffer := make([]byte, min(p.Size, uploadPiece))
	for req.Action != content.WriteAction_COMMIT {
		n, err := io.ReadFull(from, buffer)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return fmt.Errorf("read blob %s: %w", p.Digest, err)
		}
		req.Data = buffer[:n]
		if req.Offset+int64(n) == p.Size {
			req.Action, req.Labels = content.WriteAction_COMMIT, p.labels()
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

// labels say what the blob needs: what nothing needs is thrown away
// (containerd, docs/garbage-collection.md).
func (p part) labels() map[string]string {
	labels := map[string]string{}
	for as, digest := range p.holds {
		labels["containerd.io/gc.ref.content."+as] = digest.String()
	}
	return labels
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
	failed := fmt.Errorf("containerd at %s: %s: %w", c.socket, said.Message(), runtime.Unavailable)
	switch said.Code() {
	case codes.DeadlineExceeded: // its clock was a little ahead of ours
		return context.DeadlineExceeded
	case codes.Unimplemented:
		return runtime.WithHint(failed, whichSocket)
	case codes.Unavailable:
	default:
		return failed
	}
	conn, dialled := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	switch {
	case dialled == nil:
		_ = conn.Close()
		return runtime.WithHint(failed, whichSocket)
	case errors.Is(dialled, fs.ErrPermission):
		return runtime.WithHint(fmt.Errorf("containerd: %w: %w", dialled, runtime.Invalid),
			"only root may use it, as a rule: write load: sudo ctr -n k8s.io, or ctr of a node that you may use")
	}
	return runtime.WithHint(fmt.Errorf("containerd: %w: %w", dialled, runtime.Unavailable), whichSocket)
}

const whichSocket = "is containerd running, and is that its socket? k3s has /run/k3s/containerd/containerd.sock"
