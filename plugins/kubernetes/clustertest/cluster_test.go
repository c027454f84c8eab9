//go:build linux

package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAddressesOfClustersDoNotOverlap(t *testing.T) {
	var all []*net.IPNet
	for n := range nets {
		w := newNode(n, "/run")
		for _, cidr := range []string{w.Address + "/24", w.Pods, services(n)} {
			_, ours, err := net.ParseCIDR(cidr)
			if err != nil {
				t.Fatal(err)
			}
			for _, other := range all {
				if other.Contains(ours.IP) || ours.Contains(other.IP) {
					t.Errorf("%s and %s", ours, other)
				}
			}
			all = append(all, ours)
		}
		c := cluster{node: w, Services: services(n)}
		if last := all[len(all)-1]; !last.Contains(net.ParseIP(c.firstService())) {
			t.Errorf("%s is not in %s", c.firstService(), last)
		}
	}
}

// A cluster.json of a cluster without node is read as one.
func TestPublished(t *testing.T) {
	for _, c := range []*cluster{
		{Name: "a", Tier: "api"},
		{Name: "b", Tier: "node", node: newNode(3, "/run")},
	} {
		c.Dir = t.TempDir()
		if err := c.publish(); err != nil {
			t.Fatal(err)
		}
		got, err := read(c.Dir)
		if err != nil {
			t.Fatal(err)
		}
		if (got.node == nil) != (c.node == nil) || got.Name != c.Name || got.node != nil && *got.node != *c.node {
			t.Errorf("read %+v, want %+v", got, c)
		}
	}
}

func TestNames(t *testing.T) {
	t.Setenv("STEAD_CLUSTERTEST_RUN", t.TempDir())
	for name, ok := range map[string]bool{"node": true, "ci-api-12": true, "": false, "..": false, "a/b": false, strings.Repeat("n", 33): false} {
		if _, err := dirOf(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What decides about a binary is in its key, and all of it.
func TestKey(t *testing.T) {
	dir := t.TempDir()
	was := source
	source = dir
	t.Cleanup(func() { source = was })
	write := func(name, text string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(dir, "kube"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "kube", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		key, err := kube().key()
		if err != nil {
			t.Fatal(err)
		}
		return key
	}
	seen := map[string]bool{
		write("main.go", "package main"): true, write("go.mod", "module a"): true, write("go.sum", "a"): true, write("main.go", "package main // b"): true,
	}
	if len(seen) != 4 {
		t.Errorf("four sources have %d keys", len(seen))
	}
}

func TestImage(t *testing.T) {
	program, out := filepath.Join(t.TempDir(), "p"), filepath.Join(t.TempDir(), "out.tar")
	if err := os.WriteFile(program, []byte("#!"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := writeImage("stead.local/p:1", out, "", []string{"/bin/p=" + program}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	var index struct {
		Manifests []struct {
			Digest      string
			Annotations map[string]string
		}
	}
	blobs := 0
	for r := tar.NewReader(bytes.NewReader(text)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.Name == "index.json" {
			if err := json.Unmarshal(content, &index); err != nil {
				t.Fatal(err)
			}
		}
		if sum, ok := strings.CutPrefix(h.Name, "blobs/sha256/"); ok {
			blobs++
			if digest(content) != "sha256:"+sum {
				t.Errorf("blob %s holds %s", sum, digest(content))
			}
		}
	}
	if blobs != 3 || len(index.Manifests) != 1 || index.Manifests[0].Annotations["io.containerd.image.name"] != "stead.local/p:1" {
		t.Errorf("%d blobs, index %+v", blobs, index)
	}
	if err := writeImage("p:1", out, "", []string{"bin/p=" + program}); err == nil {
		t.Error("a path that is not absolute was taken")
	}
}
