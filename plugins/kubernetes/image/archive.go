package image

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// errPipe is a reader that has gone.
const errPipe = syscall.EPIPE

// nameAnnotation names an image in a layout for containerd, which takes it as
// it is (containerd, images/annotations.go).
const nameAnnotation = "io.containerd.image.name"

// writeArchive writes m under the name ref, as the tar stream of an OCI layout
// (OCI image specification, image-layout.md), without the blobs that are there.
// Manifests are always written: containerd reads them from the stream.
func (m *product) writeArchive(ctx context.Context, w io.Writer, ref string, there map[string]bool) error {
	contents, manifests, err := m.parts()
	if err != nil {
		return err
	}
	named := manifests[len(manifests)-1].Descriptor
	named.Annotations = map[string]string{nameAnnotation: ref}
	index, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{named}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(w)
	if err := copyText(out, "oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`)); err != nil {
		return err
	}
	if err := copyText(out, "index.json", index); err != nil {
		return err
	}
	contents = slices.DeleteFunc(contents, func(p part) bool { return there[p.Digest.String()] })
	for _, p := range append(contents, manifests...) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := copyPart(out, p); err != nil {
			return err
		}
	}
	return out.Close()
}

func copyPart(out *tar.Writer, p part) error {
	from, err := p.open()
	if err != nil {
		return err
	}
	defer from.Close()
	return copyFrom(out, "blobs/"+p.Digest.Algorithm+"/"+p.Digest.Hex, p.Size, from)
}

func copyText(out *tar.Writer, name string, text []byte) error {
	return copyFrom(out, name, int64(len(text)), bytes.NewReader(text))
}

func copyFrom(out *tar.Writer, name string, size int64, from io.Reader) error {
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.Copy(out, from); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
