package image

import "slices"

// Summary says what an image is made of, for people and for scripts.
type Summary struct {
	Reference string `json:"reference,omitempty"` // empty when it was not delivered
	Digest    string `json:"digest"`
	Base      string `json:"base,omitempty"`

	Platforms []PlatformSummary `json:"platforms"` // by name
}

// PlatformSummary is the part of one platform.
type PlatformSummary struct {
	Platform   string         `json:"platform"`
	Digest     string         `json:"digest"`
	BaseDigest string         `json:"baseDigest,omitempty"`
	Size       int64          `json:"size"`       // bytes of all layers as they travel
	Layers     []LayerSummary `json:"layers"`     // from the base up
	Components int            `json:"components"` // in the SBOM; 0: there is none
}

// LayerSummary is one layer.
type LayerSummary struct {
	What   string `json:"what"` // "base", "files", "executable"
	Digest string `json:"digest"`
	Size   int64  `json:"size"`
}

func (m *product) summary() Summary {
	s := Summary{Digest: m.digest.String(), Base: m.base}
	for _, img := range m.images {
		part := PlatformSummary{
			Platform: img.platform.String(), Digest: img.digest.String(), BaseDigest: img.baseDigest,
			Layers: slices.Clone(img.layers), Components: img.components,
		}
		for _, l := range img.layers {
			part.Size += l.Size
		}
		s.Platforms = append(s.Platforms, part)
	}
	return s
}
