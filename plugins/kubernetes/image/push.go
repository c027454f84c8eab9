package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/stead-dev/stead/runtime"
)

// patient is how often a registry that is busy or ill is asked again: after
// 0.3, 0.9, 2.7 and 8.1 s. Registries that limit the rate mostly count in
// windows of some seconds.
var patient = remote.Backoff{Duration: 300 * time.Millisecond, Factor: 3, Jitter: 0.1, Steps: 5}

// push brings an image to the registry; what is there does not travel. The tag
// is for people, and keeps registries from taking it for garbage.
func (p *Packer) push(ctx context.Context, m *product) (string, error) {
	repo, err := p.repository(m.id)
	if err != nil {
		return "", err
	}
	sent := p.counted(m.id)
	if err := remote.Push(repo.Tag(m.digest.Hex[:12]), m.whole, append(p.remote(ctx), remote.WithTransport(sent))...); err != nil {
		return "", explain(err, "push to "+repo.Name(), repo.RegistryStr())
	}
	return repo.Digest(m.digest.String()).Name(), nil
}

// remote is how registries are spoken with. What they answer to a bad moment
// is asked again: 408, 429, 499, 5xx and broken connections.
func (p *Packer) remote(ctx context.Context) []remote.Option {
	return []remote.Option{
		remote.WithContext(ctx), remote.WithAuthFromKeychain(p.keychain), remote.WithTransport(guarded{p.connections, p.plain}),
		remote.WithRetryBackoff(p.backoff), remote.WithUserAgent("stead"),
	}
}

// repository returns the name of a service's images, in the letters that
// registries take (OCI distribution specification, "name").
func repository(id runtime.ID) string { return slug(id.Project) + "-" + slug(id.Service) }

// maxSlug keeps the whole reference within the 255 bytes that containerd takes.
const maxSlug = 63

func slug(text string) string {
	clean := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	s := strings.Join(clean, "-")
	s = strings.TrimRight(s[:min(len(s), maxSlug)], "-")
	if s == "" {
		return "x"
	}
	return s
}

// explain gives an error of a registry its class, and says what to do.
func explain(err error, doing, registry string) error {
	var answer *transport.Error
	var disk *fs.PathError
	err = fmt.Errorf("%s: %w", doing, err)
	switch {
	case runtime.Class(err) != runtime.Internal, errors.Is(err, context.Canceled), errors.As(err, &disk):
		return err
	case !errors.As(err, &answer):
		return runtime.WithHint(fmt.Errorf("%w: %w", err, runtime.Unavailable), "is "+registry+" reached from this machine?")
	case answer.StatusCode == http.StatusUnauthorized, answer.StatusCode == http.StatusForbidden:
		return runtime.WithHint(fmt.Errorf("%w: %w", err, runtime.Invalid), "log in with docker login "+registry+", or have its credentials in ~/.docker/config.json")
	case answer.StatusCode == http.StatusNotFound:
		return runtime.WithHint(fmt.Errorf("%w: %w", err, runtime.NotFound), "some registries want a repository to be made before the first push")
	}
	return fmt.Errorf("%w: %w", err, runtime.Unavailable)
}

func newConnections() *http.Transport {
	if t, ok := remote.DefaultTransport.(*http.Transport); ok {
		return t.Clone()
	}
	return &http.Transport{Proxy: http.ProxyFromEnvironment}
}

// guarded refuses to send images and passwords over the network in the clear.
// The library does so to all private addresses.
type guarded struct {
	http.RoundTripper
	plain string // host and port to which it may be done
}

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != "https" && r.URL.Host != g.plain && !nearby(r.URL.Hostname()) {
		return nil, runtime.WithHint(fmt.Errorf("%s has no TLS, and is neither on loopback nor in .local: %w", r.URL.Host, runtime.Invalid),
			"give the registry a certificate, or write --registry http://"+r.URL.Host+" if its network is to be trusted")
	}
	return g.RoundTripper.RoundTrip(r)
}

func nearby(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".local")
}

// counting reports what is uploaded.
type counting struct {
	guarded
	count func(int)
}

func (p *Packer) counted(id runtime.ID) http.RoundTripper {
	plain := guarded{p.connections, p.plain}
	if p.o.Progress == nil {
		return plain
	}
	return counting{plain, newCounter(id, p.o.Progress)}
}

func (c counting) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPatch || r.Body == nil {
		return c.guarded.RoundTrip(r)
	}
	with := *r // a RoundTripper leaves the request as it is
	with.Body = countedBody{r.Body, c.count}
	return c.guarded.RoundTrip(&with)
}

type countedBody struct {
	io.ReadCloser
	count func(int)
}

func (b countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.count(n)
	return n, err
}
