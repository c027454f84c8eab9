package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// errPipe is a reader that has gone.
const errPipe = syscall.EPIPE

// nameAnnotation names an image in a layout for containerd, which takes it as
// it is (containerd, images/annotations.go).
const nameAnnotation = "io.containerd.image.name"

// archive writes an OCI layout (OCI image specification, image-layout.md) as a
// tar stream.
type archive struct {
	out  *tar.Writer
	skip map[string]bool // blobs not to write, by digest
}

// writeArchive writes m under the name ref, without the blobs that are there.
// Manifests are always written: containerd reads them from the stream.
func (m *product) writeArchive(ctx context.Context, w io.Writer, ref string, there map[string]bool) error {
	a := &archive{out: tar.NewWriter(w), skip: map[string]bool{}}
	for digest := range there {
		a.skip[digest] = true
	}
	if err := a.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	raw, err := m.whole.RawManifest()
	if err != nil {
		return err
	}
	media, err := m.whole.MediaType()
	if err != nil {
		return err
	}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{{
		MediaType: media, Digest: m.digest, Size: int64(len(raw)), Annotations: map[string]string{nameAnnotation: ref},
	}}})
	if err != nil {
		return err
	}
	if err := a.file("index.json", index); err != nil {
		return err
	}
	for _, img := range m.images {
		if err := a.image(ctx, img); err != nil {
			return err
		}
	}
	if len(m.images) > 1 {
		if err := a.file(blobName(m.digest), raw); err != nil {
			return err
		}
	}
	return a.out.Close()
}

func (a *archive) image(ctx context.Context, img platformImage) error {
	layers, err := img.Layers()
	if err != nil {
		return err
	}
	for _, l := range layers {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := a.layer(l); err != nil {
			return err
		}
	}
	config, err := img.RawConfigFile()
	if err != nil {
		return err
	}
	name, err := img.ConfigName()
	if err != nil {
		return err
	}
	if err := a.file(blobName(name), config); err != nil {
		return err
	}
	raw, err := img.RawManifest()
	if err != nil {
		return err
	}
	return a.file(blobName(img.digest), raw)
}

func (a *archive) layer(l v1.Layer) error {
	digest, err := l.Digest()
	if err != nil || a.skip[digest.String()] {
		return err
	}
	a.skip[digest.String()] = true
	size, err := l.Size()
	if err != nil {
		return err
	}
	content, err := l.Compressed()
	if err != nil {
		return fmt.Errorf("open layer %s: %w", digest, err)
	}
	defer content.Close()
	return a.copy(blobName(digest), size, content)
}

func blobName(digest v1.Hash) string { return "blobs/" + digest.Algorithm + "/" + digest.Hex }

func (a *archive) file(name string, data []byte) error {
	return a.copy(name, int64(len(data)), bytes.NewReader(data))
}

func (a *archive) copy(name string, size int64, from io.Reader) error {
	if err := a.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(a.out, from); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
