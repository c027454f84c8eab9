package image

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	goruntime "runtime"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestPacking: what is packed comes back, and depends on the bytes alone.
func TestPacking(t *testing.T) {
	text := make([]byte, 5<<20)
	for i := range text {
		text[i] = byte(i * i >> 9)
	}
	for _, how := range []packing{gzipped, zstdded} {
		var first []byte
		for _, cores := range []int{1, 4} {
			before := goruntime.GOMAXPROCS(cores)
			var out bytes.Buffer
			z, err := how.to(&out)
			if err != nil {
				t.Fatal(err)
			}
			_, err = io.Copy(z, bytes.NewReader(text))
			if closed := z.Close(); err != nil || closed != nil {
				t.Fatal(err, closed)
			}
			goruntime.GOMAXPROCS(before)
			if first == nil {
				first = out.Bytes()
			}
			if !bytes.Equal(first, out.Bytes()) {
				t.Errorf("%v: %d cores make something else", how, cores)
			}
		}
		file := filepath.Join(t.TempDir(), "layer")
		if err := os.WriteFile(file, first, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := how.open(file)
		if err != nil {
			t.Fatal(err)
		}
		back, err := io.ReadAll(r)
		if closed := r.Close(); err != nil || closed != nil || !bytes.Equal(back, text) {
			t.Errorf("%v: %d bytes came back: %v, %v", how, len(back), err, closed)
		}
	}
}

// TestMedia: each manifest says of its layers what they are.
func TestMedia(t *testing.T) {
	for _, c := range []struct {
		how      packing
		manifest types.MediaType
		want     types.MediaType
	}{
		{gzipped, types.OCIManifestSchema1, types.OCILayer},
		{zstdded, types.OCIManifestSchema1, types.OCILayerZStd},
		{gzipped, types.DockerManifestSchema2, types.DockerLayer},
		{zstdded, types.DockerManifestSchema2, types.DockerLayer},
	} {
		if got := c.how.within(c.manifest).media(c.manifest); got != c.want {
			t.Errorf("%v in %s: %s, want %s", c.how, c.manifest, got, c.want)
		}
	}
}
