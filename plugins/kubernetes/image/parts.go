package image

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// part is a blob of an image.
type part struct {
	v1.Descriptor
	open  func() (io.ReadCloser, error)
	holds map[string]v1.Hash // of a manifest: what it names, by "config", "l.0" (layers) or "m.0" (manifests)
}

// parts are all blobs of m, each once: first layers and configurations in any
// order, and then manifests, each behind what it names. The last one is what
// the image's name stands for.
func (m *product) parts() (contents, manifests []part, err error) {
	known := map[v1.Hash]bool{}
	for _, img := range m.images {
		layers, err := img.Layers()
		if err != nil {
			return nil, nil, err
		}
		manifest, err := manifestOf(img.Image)
		if err != nil {
			return nil, nil, err
		}
		for i, l := range layers {
			one, err := layerPart(l)
			if err != nil {
				return nil, nil, err
			}
			manifest.holds["l."+strconv.Itoa(i)] = one.Digest
			if !known[one.Digest] {
				contents = append(contents, one)
			}
			known[one.Digest] = true
		}
		name, err := img.ConfigName()
		if err != nil {
			return nil, nil, err
		}
		config, err := img.RawConfigFile()
		if err != nil {
			return nil, nil, err
		}
		manifest.holds["config"] = name
		contents = append(contents, textPart(v1.Descriptor{Digest: name}, config))
		manifests = append(manifests, manifest)
	}
	if len(m.images) > 1 {
		index, err := manifestOf(m.whole)
		if err != nil {
			return nil, nil, err
		}
		for i, img := range m.images {
			index.holds["m."+strconv.Itoa(i)] = img.digest
		}
		manifests = append(manifests, index)
	}
	return contents, manifests, nil
}

func layerPart(l v1.Layer) (p part, err error) {
	if p.Digest, err = l.Digest(); err != nil {
		return p, err
	}
	if p.Size, err = l.Size(); err != nil {
		return p, err
	}
	p.open = func() (io.ReadCloser, error) {
		from, err := l.Compressed()
		if err != nil {
			return nil, fmt.Errorf("open layer %s: %w", p.Digest, err)
		}
		return from, nil
	}
	return p, nil
}

func manifestOf(a artifact) (part, error) {
	media, err := a.MediaType()
	if err != nil {
		return part{}, err
	}
	digest, err := a.Digest()
	if err != nil {
		return part{}, err
	}
	text, err := a.RawManifest()
	if err != nil {
		return part{}, err
	}
	p := textPart(v1.Descriptor{MediaType: media, Digest: digest}, text)
	p.holds = map[string]v1.Hash{}
	return p, nil
}

func textPart(d v1.Descriptor, text []byte) part {
	d.Size = int64(len(text))
	return part{Descriptor: d, open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }}
}
