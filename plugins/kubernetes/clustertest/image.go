//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	goruntime "runtime"
	"strings"
)

// The parts of an OCI image that is one layer. See image-spec: layout, index,
// manifest, config.
const (
	indexType    = "application/vnd.oci.image.index.v1+json"
	manifestType = "application/vnd.oci.image.manifest.v1+json"
	configType   = "application/vnd.oci.image.config.v1+json"
	layerType    = "application/vnd.oci.image.layer.v1.tar+gzip"
)

type object = map[string]any

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

func descriptor(kind string, b []byte) object {
	return object{"mediaType": kind, "digest": digest(b), "size": len(b)}
}

// writeImage writes an image layout as a tar, for ctr images import. Files are
// "/path/in/image=path here"; the first is the entrypoint. An empty signal is
// SIGTERM.
func writeImage(name, out, signal string, files []string) error {
	layer, err := writeLayer(files)
	if err != nil {
		return err
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	if _, err := z.Write(layer); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	entry, _, _ := strings.Cut(files[0], "=")
	run := object{"Entrypoint": []string{entry}, "Env": []string{"PATH=/"}, "WorkingDir": "/"}
	if signal != "" {
		run["StopSignal"] = signal
	}
	config, err := json.Marshal(object{
		"architecture": goruntime.GOARCH, "os": "linux",
		"config": run,
		"rootfs": object{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal(object{
		"schemaVersion": 2, "mediaType": manifestType, "config": descriptor(configType, config),
		"layers": []object{descriptor(layerType, zipped.Bytes())},
	})
	if err != nil {
		return err
	}
	d := descriptor(manifestType, manifest)
	_, tag, _ := strings.Cut(path.Base(name), ":")
	d["platform"] = object{"architecture": goruntime.GOARCH, "os": "linux"}
	d["annotations"] = object{"io.containerd.image.name": name, "org.opencontainers.image.ref.name": tag}
	index, err := json.Marshal(object{"schemaVersion": 2, "mediaType": indexType, "manifests": []object{d}})
	if err != nil {
		return err
	}
	var layout archive
	layout.file("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`), 0o644)
	layout.file("index.json", index, 0o644)
	for _, blob := range [][]byte{config, zipped.Bytes(), manifest} {
		layout.file("blobs/sha256/"+strings.TrimPrefix(digest(blob), "sha256:"), blob, 0o644)
	}
	text, err := layout.close()
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o644)
}

func writeLayer(files []string) ([]byte, error) {
	var a archive
	for _, dir := range []string{"etc/", "tmp/"} {
		a.header(&tar.Header{Typeflag: tar.TypeDir, Name: dir, Mode: 0o755})
	}
	a.file("etc/passwd", []byte("root:x:0:0:root:/:/none\nnobody:x:65534:65534:nobody:/:/none\n"), 0o644)
	for _, f := range files {
		in, here, ok := strings.Cut(f, "=")
		if !ok || !path.IsAbs(in) {
			return nil, fmt.Errorf("%q is not /path/in/image=FILE", f)
		}
		text, err := os.ReadFile(here)
		if err != nil {
			return nil, err
		}
		a.file(in[1:], text, 0o755)
	}
	return a.close()
}

// archive is a tar in memory that remembers its first error.
type archive struct {
	buffer bytes.Buffer
	w      *tar.Writer
	err    error
}

func (a *archive) header(h *tar.Header) {
	if a.w == nil {
		a.w = tar.NewWriter(&a.buffer)
	}
	a.err = errors.Join(a.err, a.w.WriteHeader(h))
}

func (a *archive) file(name string, text []byte, mode int64) {
	a.header(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(text))})
	_, err := a.w.Write(text)
	a.err = errors.Join(a.err, err)
}

func (a *archive) close() ([]byte, error) {
	if err := errors.Join(a.err, a.w.Close()); err != nil {
		return nil, err
	}
	return a.buffer.Bytes(), nil
}
