package image

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/containerd/containerd/api/services/content/v1"
	"github.com/containerd/containerd/api/services/images/v1"
	"github.com/containerd/containerd/api/services/leases/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/stead-dev/stead/runtime"
)

// fakeNode is what containerd keeps, as far as images are brought by its API.
type fakeNode struct {
	mu     sync.Mutex
	blobs  map[string]map[string]string // their labels, by digest
	came   []string                     // digests of blobs that were sent
	names  map[string]string            // digests, by name
	leases map[string]bool
	refuse error // of blobs
	hang   bool  // blobs are not taken
	silent bool  // nothing is answered
}

func newFakeContainerd(t *testing.T) (node *fakeNode, address string) {
	t.Helper()
	node = &fakeNode{blobs: map[string]map[string]string{}, names: map[string]string{}, leases: map[string]bool{}}
	dir, err := os.MkdirTemp("", "ctd") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "sock")
	t.Cleanup(node.serve(t, socket))
	return node, "unix://" + socket
}

// serve answers on a socket until stop is called.
func (f *fakeNode) serve(t *testing.T, socket string) (stop func()) {
	t.Helper()
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	content.RegisterContentServer(server, fakeContent{fakeNode: f})
	images.RegisterImagesServer(server, fakeImages{fakeNode: f})
	leases.RegisterLeasesServer(server, fakeLeases{fakeNode: f})
	go func() { _ = server.Serve(listener) }() // ends with Stop
	return server.Stop
}

// header is what a call says besides its request.
func header(ctx context.Context, key string) string {
	md, _ := metadata.FromIncomingContext(ctx)
	return strings.Join(md.Get(key), " ")
}

type fakeContent struct {
	content.UnimplementedContentServer
	*fakeNode
}

func (f fakeContent) Write(stream content.Content_WriteServer) error {
	f.mu.Lock()
	refuse, hang := f.refuse, f.hang
	f.mu.Unlock()
	if hang {
		<-stream.Context().Done()
		return stream.Context().Err()
	}
	sum, offset := sha256.New(), int64(0)
	for {
		req, err := stream.Recv()
		if err != nil {
			return err
		}
		f.mu.Lock()
		_, there := f.blobs[req.Expected]
		leased := f.leases[header(stream.Context(), "containerd-lease")]
		f.mu.Unlock()
		switch {
		case header(stream.Context(), "containerd-namespace") != "k8s.io" || !leased || req.Offset != offset:
			return status.Errorf(codes.InvalidArgument, "leased %v, offset %d of %d", leased, req.Offset, offset)
		case there:
			return status.Errorf(codes.AlreadyExists, "content %s: already exists", req.Expected)
		case refuse != nil:
			return refuse
		}
		sum.Write(req.Data)
		offset += int64(len(req.Data))
		if req.Action == content.WriteAction_COMMIT {
			if got := fmt.Sprintf("sha256:%x", sum.Sum(nil)); got != req.Expected || offset != req.Total {
				return status.Errorf(codes.FailedPrecondition, "%d bytes with %s", offset, got)
			}
			f.mu.Lock()
			f.blobs[req.Expected] = req.Labels
			f.came = append(f.came, req.Expected)
			f.mu.Unlock()
		}
		if err := stream.Send(&content.WriteContentResponse{Action: req.Action, Offset: offset}); err != nil {
			return err
		}
	}
}

type fakeImages struct {
	images.UnimplementedImagesServer
	*fakeNode
}

func (f fakeImages) Get(ctx context.Context, req *images.GetImageRequest) (*images.GetImageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.silent {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if f.names[req.Name] == "" {
		return nil, status.Error(codes.NotFound, "no such image")
	}
	return &images.GetImageResponse{}, nil
}

func (f fakeImages) Create(_ context.Context, req *images.CreateImageRequest) (*images.CreateImageResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.blobs[req.Image.Target.Digest]; !ok || f.names[req.Image.Name] != "" {
		return nil, status.Errorf(codes.FailedPrecondition, "%s, with its manifest %v", f.names[req.Image.Name], ok)
	}
	f.names[req.Image.Name] = req.Image.Target.Digest
	return &images.CreateImageResponse{}, nil
}

type fakeLeases struct {
	leases.UnimplementedLeasesServer
	*fakeNode
}

func (f fakeLeases) Create(_ context.Context, req *leases.CreateRequest) (*leases.CreateResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, err := time.Parse(time.RFC3339, req.Labels["containerd.io/gc.expire"]); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	f.leases[req.ID] = true
	return &leases.CreateResponse{}, nil
}

func (f fakeLeases) Delete(_ context.Context, req *leases.DeleteRequest) (*emptypb.Empty, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.leases, req.ID)
	return &emptypb.Empty{}, nil
}

// taken returns what came since it was asked last.
func (f *fakeNode) taken() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	came := f.came
	f.came = nil
	return came
}

func (f *fakeNode) left() (leases int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.leases)
}

// TestNode: only what a node lacks travels, under a lease, and all of it is
// held by the image in the end.
func TestNode(t *testing.T) {
	node, address := newFakeContainerd(t)
	p := newPacker(t, Options{Containerd: address})
	dir := project(t)
	write(t, dir, "bin/api", amd64(rand.Text()+strings.Repeat("x", 3*uploadPiece)), 0o755)
	first := publish(t, p, specOf(dir))
	if want := "stead.local/shop-api@" + first.Digest; first.Reference != want || node.names[want] != first.Digest {
		t.Errorf("reference %s, want %s of %v", first.Reference, want, node.names)
	}
	if came := node.taken(); len(came) != 5 || came[4] != first.Digest {
		t.Errorf("%q: want three layers and the configuration, and then the manifest %s", came, first.Digest)
	}
	var held []string
	for label, digest := range node.blobs[first.Digest] {
		if !strings.HasPrefix(label, "containerd.io/gc.ref.content.") {
			t.Errorf("label %s", label)
		}
		held = append(held, digest)
	}
	for digest := range node.blobs {
		if digest != first.Digest && !slices.Contains(held, digest) {
			t.Errorf("%s is held by nothing, and would be thrown away", digest)
		}
	}
	publish(t, p, specOf(dir))
	if came := node.taken(); len(came) != 0 {
		t.Errorf("%q were sent again", came)
	}
	write(t, dir, "bin/api", amd64("two"), 0o755)
	second := publish(t, p, specOf(dir))
	if came := node.taken(); len(came) != 3 || !slices.Contains(came, second.Platforms[0].Layers[2].Digest) || came[2] != second.Digest {
		t.Errorf("%q travelled: want manifest, configuration and one layer", came)
	}
	if name, err := p.Name(t.Context(), specOf(dir)); err != nil || name != second.Reference {
		t.Errorf("name %s, %v", name, err)
	}
	if n := node.left(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

func TestNodeIndex(t *testing.T) {
	node, address := newFakeContainerd(t)
	both := publish(t, newPacker(t, Options{Containerd: address}), specOfBoth(t))
	came := node.taken()
	if len(came) == 0 || came[len(came)-1] != both.Digest {
		t.Fatalf("%q: want the index %s last", came, both.Digest)
	}
	for _, one := range both.Platforms {
		if !slices.Contains(slices.Collect(maps.Values(node.blobs[both.Digest])), one.Digest) || node.blobs[one.Digest] == nil {
			t.Errorf("%s is not held by the index", one.Platform)
		}
	}
}

func TestNodeFails(t *testing.T) {
	node, address := newFakeContainerd(t)
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	write(t, dir, "plain", nil, 0o600)
	node.refuse = status.Error(codes.ResourceExhausted, "no space left on device")
	for name, c := range map[string]struct{ address, want, hint string }{
		"refused":       {address, "no space left on device", ""},
		"no such file":  {"unix://" + dir + "/none", "no such file", "is containerd running"},
		"nobody there":  {"unix://" + plain, "connection refused", "is containerd running"},
		"not a path":    {"unix:containerd.sock", "not that of a socket", "unix:///run/containerd"},
		"relative path": {"unix://containerd.sock", "not that of a socket", "unix:///run/containerd"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(Options{Containerd: c.address, Cache: t.TempDir()})
			if err == nil {
				defer p.Close()
				_, err = p.Pack(t.Context(), specOf(project(t)))
			}
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(runtime.Hint(err), c.hint) {
				t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
			}
			if class := runtime.Class(err); class != runtime.Unavailable && class != runtime.Invalid {
				t.Errorf("class %v", class)
			}
		})
	}
	if n := node.left(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	for _, o := range []Options{{Containerd: address, Registry: "registry.example.dev"}, {Containerd: address, Load: []string{"ctr"}}} {
		o.Cache = dir
		if _, err := New(o); !errors.Is(err, runtime.Invalid) {
			t.Errorf("two places to go to: %v", err)
		}
	}
}

// TestNodeHangs: who waits for a node that takes nothing can go.
func TestNodeHangs(t *testing.T) {
	node, address := newFakeContainerd(t)
	node.hang = true
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err := newPacker(t, Options{Containerd: address}).Pack(ctx, specOf(project(t)))
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v", err)
	}
	if n := node.left(); n != 0 {
		t.Errorf("%d leases are left", n)
	}
}

// TestNodeIsSilent: what is connected and says nothing is told.
func TestNodeIsSilent(t *testing.T) {
	node, address := newFakeContainerd(t)
	node.silent = true
	p := newPacker(t, Options{Containerd: address})
	p.containerd.limit = 50 * time.Millisecond
	_, err := p.Pack(t.Context(), specOf(project(t)))
	if runtime.Class(err) != runtime.Unavailable || !strings.Contains(err.Error(), "does not answer") || runtime.Hint(err) == "" {
		t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := p.Pack(ctx, specOf(project(t))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with a deadline of the caller's: %v", err)
	}
}

// TestNodeIsAnother: a socket of something else is told.
func TestNodeIsAnother(t *testing.T) {
	for name, serve := range map[string]func(net.Listener) error{
		"gRPC": grpc.NewServer().Serve,
		"HTTP": (&http.Server{ReadHeaderTimeout: time.Second}).Serve,
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := os.MkdirTemp("", "ctd")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(dir)
			listener, err := net.Listen("unix", dir+"/sock")
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go func() { _ = serve(listener) }() // ends with the listener
			_, err = newPacker(t, Options{Containerd: "unix://" + dir + "/sock"}).Pack(t.Context(), specOf(project(t)))
			if runtime.Class(err) != runtime.Unavailable || !strings.Contains(runtime.Hint(err), "is that its socket") {
				t.Errorf("err = %v, hint %q", err, runtime.Hint(err))
			}
		})
	}
}

// TestNodeComesBack: a containerd that was started anew takes images again.
func TestNodeComesBack(t *testing.T) {
	dir, err := os.MkdirTemp("", "ctd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	node := &fakeNode{blobs: map[string]map[string]string{}, names: map[string]string{}, leases: map[string]bool{}}
	p := newPacker(t, Options{Containerd: "unix://" + dir + "/sock"})
	spec := specOf(project(t))
	for life := range 2 {
		if _, err := p.Pack(t.Context(), spec); runtime.Class(err) != runtime.Unavailable {
			t.Errorf("life %d: without a containerd: %v", life, err)
		}
		stop := node.serve(t, dir+"/sock")
		write(t, spec.Dir, "bin/api", amd64(fmt.Sprint(life)), 0o755)
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
			if _, err = p.Pack(t.Context(), spec); err == nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("life %d: %v", life, err)
			}
		}
		stop()
	}
}
