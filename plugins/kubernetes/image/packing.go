package image

import (
	"compress/gzip"
	"errors"
	"io"
	"os"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

// packing is how a layer is compressed. The cache keeps these numbers. Always at the fastest level: what
// travels once within a data centre is no reason to have a developer wait.
type packing int

const (
	gzipped packing = iota // what every registry and every node takes
	zstdded                // RFC 8878: quicker on both ends; containerd takes it since 1.5, Docker's kind of manifest never
)

// media is the type of a layer in an image whose manifest is of the given type.
func (p packing) media(manifest types.MediaType) types.MediaType {
	switch {
	case manifest == types.DockerManifestSchema2:
		return types.DockerLayer
	case p == zstdded:
		return types.OCILayerZStd
	}
	return types.OCILayer
}

// within is how layers of an image are packed whose manifest is of that type.
func (p packing) within(manifest types.MediaType) packing {
	if manifest == types.DockerManifestSchema2 {
		return gzipped
	}
	return p
}

// zstdCores is the same everywhere, so that the result depends on the bytes
// alone.
const zstdCores = 2

// to returns what compresses what is written to it into out. It must be closed.
func (p packing) to(out io.Writer) (io.WriteCloser, error) {
	if p == zstdded {
		return zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(zstdCores))
	}
	return newParallelGzip(out, cores(), gzipPiece), nil
}

// open returns what is in a layer.
func (p packing) open(file string) (io.ReadCloser, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	if p == zstdded {
		z, err := zstd.NewReader(f)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		return unpacked{z, func() error { z.Close(); return f.Close() }}, nil
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return unpacked{z, f.Close}, nil
}

type unpacked struct {
	io.Reader
	end func() error
}

func (u unpacked) Close() error { return u.end() }
