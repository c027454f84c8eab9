package image

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/stead-dev/stead/runtime"
)

// bases finds base images, in the cache or in a registry.
type bases struct {
	cache *cache
	log   *slog.Logger
	wait  time.Duration // baseWait
	here  bool          // no registry is asked: see kept

	turn  chan struct{}        // whoever has put something in may use what is below, and pull
	asked map[string]time.Time // what is in refs/, and when its registry was tried last
}

// base is one that is in the cache.
type base struct {
	v1.Image
	digest v1.Hash
}

const (
	// baseFresh is how long the meaning of a tag is taken to last: saves that
	// follow each other do not ask, and move no base.
	baseFresh = 10 * time.Minute
	// baseWait is how long a registry may keep us waiting when the cache has
	// what its tag meant last.
	baseWait = 5 * time.Second
)

func newBases(c *cache, log *slog.Logger) *bases {
	return &bases{cache: c, log: log, wait: baseWait, turn: make(chan struct{}, 1), asked: map[string]time.Time{}}
}

// find returns the image that ref means for platform. One at a time: a dozen
// services that begin at once have the same base, which is pulled once. What a
// tag means is asked for now and then; a registry that is away does not matter
// to what is in the cache.
func (b *bases) find(ctx context.Context, ref string, platform v1.Platform, options func(context.Context) []remote.Option) (base, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return base{}, fmt.Errorf("base image %q: %w: %w", ref, err, runtime.Invalid)
	}
	key := parsed.Name() + " " + platform.String()
	if b.here {
		return b.last(key, ref)
	}
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return base{}, ctx.Err()
	}
	cached, cacheErr := b.load(key)
	_, forever := parsed.(name.Digest)
	if cacheErr == nil && (forever || time.Since(b.asked[key]) < baseFresh) {
		return cached, nil
	}
	asking := ctx
	if cacheErr == nil {
		limited, cancel := context.WithTimeout(ctx, b.wait)
		defer cancel()
		asking = limited
	}
	digest, err := b.pull(ctx, asking, parsed, platform, options)
	if err != nil && cacheErr == nil && ctx.Err() == nil {
		b.log.Warn("base image from the cache: the registry does not answer", "image", ref, "digest", cached.digest.String(), "err", err)
		b.asked[key] = time.Now() // whoever has no network does not wait for it at each save
		return cached, nil
	}
	if err != nil {
		return base{}, explain(err, "pull base image "+ref, parsed.Context().RegistryStr())
	}
	if err := b.remember(key, digest); err != nil {
		return base{}, err
	}
	b.asked[key] = time.Now()
	return b.load(key)
}

// kept finds what is in the cache, whatever its age, and waits for nobody who
// pulls: what comes into the cache is there at once.
func (b *bases) kept() *bases { return &bases{cache: b.cache, log: b.log, here: true} }

// last returns what ref meant last.
func (b *bases) last(key, ref string) (base, error) {
	found, err := b.load(key)
	if err != nil {
		return base{}, fmt.Errorf("base image %s is not in the cache: %w: %w", ref, err, runtime.NotFound)
	}
	return found, nil
}

// pull asks what ref means, and puts that into the cache unless it is there.
func (b *bases) pull(ctx, asking context.Context, ref name.Reference, platform v1.Platform, options func(context.Context) []remote.Option) (v1.Hash, error) {
	desc, err := remote.Get(ref, append(options(asking), remote.WithPlatform(platform))...)
	if err != nil {
		return v1.Hash{}, err
	}
	img, err := desc.Image()
	if err != nil {
		return v1.Hash{}, err
	}
	digest, err := img.Digest()
	if err != nil {
		return v1.Hash{}, err
	}
	if _, err := b.open(digest); err == nil {
		return digest, nil
	}
	// Again, by digest, and without the short deadline: layers take their time.
	img, err = remote.Image(ref.Context().Digest(digest.String()), options(ctx)...)
	if err != nil {
		return v1.Hash{}, err
	}
	cfg, err := img.ConfigFile()
	if err != nil {
		return v1.Hash{}, err
	}
	if have := cfg.Platform(); have.OS != platform.OS || have.Architecture != platform.Architecture {
		return v1.Hash{}, runtime.WithHint(fmt.Errorf("it is for %s, and %s is wanted: %w", have, platform.String(), runtime.Invalid),
			"choose a base that is made for this platform too")
	}
	return digest, b.keep(img, digest)
}

// keep writes img into the cache: beside its place, down to the disk, and then
// there at once.
func (b *bases) keep(img v1.Image, digest v1.Hash) (err error) {
	dir, err := os.MkdirTemp(filepath.Join(b.cache.dir, "bases"), temporary)
	if err != nil {
		return fmt.Errorf("keep a base image: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	at, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := at.AppendImage(img); err != nil {
		return err
	}
	if err := syncTree(dir); err != nil {
		return fmt.Errorf("keep a base image: %w", err)
	}
	place := b.place(digest)
	if err := os.RemoveAll(place); err != nil { // what open has refused
		return err
	}
	return os.Rename(dir, place)
}

func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(at string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		f, err := os.Open(at)
		if err != nil {
			return err
		}
		return errors.Join(f.Sync(), f.Close())
	})
}

func (b *bases) place(digest v1.Hash) string { return filepath.Join(b.cache.dir, "bases", digest.Hex) }

// note is the file that says what a name meant last.
func (b *bases) note(key string) string {
	sum := sha256.Sum256([]byte(key))
	return filepath.Join(b.cache.dir, "refs", hex.EncodeToString(sum[:16]))
}

func (b *bases) remember(key string, digest v1.Hash) error {
	if err := replace(b.note(key), []byte(digest.String()+"\n")); err != nil {
		return fmt.Errorf("note a base image: %w", err)
	}
	return nil
}

// load returns what the cache has for a name and platform.
func (b *bases) load(key string) (base, error) {
	text, err := os.ReadFile(b.note(key))
	if err != nil {
		return base{}, err
	}
	digest, err := v1.NewHash(strings.TrimSpace(string(text)))
	if err != nil {
		return base{}, err
	}
	return b.open(digest)
}

// open returns an image of the cache, all of whose parts are there.
func (b *bases) open(digest v1.Hash) (base, error) {
	place := b.place(digest)
	img, err := layout.Path(place).Image(digest)
	if err != nil {
		return base{}, err
	}
	m, err := img.Manifest()
	if err != nil {
		return base{}, err
	}
	for _, part := range append([]v1.Descriptor{m.Config}, m.Layers...) {
		info, err := os.Stat(filepath.Join(place, "blobs", part.Digest.Algorithm, part.Digest.Hex))
		if err != nil {
			return base{}, err
		}
		if info.Size() != part.Size {
			return base{}, fmt.Errorf("base image %s: %s is cut short: %w", digest, part.Digest, fs.ErrInvalid)
		}
	}
	now := time.Now()
	return base{img, digest}, os.Chtimes(place, now, now)
}
