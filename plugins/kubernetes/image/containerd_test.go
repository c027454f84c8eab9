package image

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// containerdConfig is for containerd 1 and 2, of which only the latter knows
// the last section. The snapshotter works on any file system.
const containerdConfig = `version = 2
root = "DIR/root"
state = "DIR/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "DIR/sock"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/ARCH"
  snapshotter = "native"
  differ = "walking"
`

// startContainerd starts one of its own, with nothing of Kubernetes in it, and
// returns ctr for it, and its address. It needs no cluster: what a node does
// with images it does here.
func startContainerd(t *testing.T) (ctr []string, address string) {
	t.Helper()
	for _, name := range []string{"containerd", "ctr"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("needs: %s (Debian's containerd)", name)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("needs: root, to unpack images with their owners")
	}
	dir, err := os.MkdirTemp("", "ctd") // a socket's path has to be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	config := strings.NewReplacer("DIR", dir, "ARCH", goruntime.GOARCH).Replace(containerdConfig)
	write(t, dir, "config.toml", []byte(config), 0o600)
	said := &tail{}
	cmd := exec.Command("containerd", "--config", filepath.Join(dir, "config.toml"))
	cmd.Stderr = said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("containerd: %s", said)
		}
	})
	t.Setenv("CONTAINERD_SNAPSHOTTER", "native")
	ctr = []string{"ctr", "--address", dir + "/sock", "--namespace", "k8s.io"}
	for deadline := time.Now().Add(30 * time.Second); exec.Command(ctr[0], append(ctr[1:], "version")...).Run() != nil; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("containerd does not answer")
		}
	}
	return ctr, "unix://" + dir + "/sock"
}

func run(t *testing.T, argv []string, more ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	said := &tail{}
	cmd := exec.CommandContext(ctx, argv[0], append(slices.Clone(argv[1:]), more...)...)
	cmd.Stderr = said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", more, err, said)
	}
	return string(out)
}

// here is a spec for this machine's architecture.
func here(t *testing.T) runtime.Spec {
	t.Helper()
	m, ok := machines()[goruntime.GOARCH]
	if !ok {
		t.Skipf("needs: an architecture with a known number, not %s", goruntime.GOARCH)
	}
	dir := project(t)
	write(t, dir, "bin/api", executable(m.id, m.order, false, "one"), 0o755)
	spec := specOf(dir)
	spec.Package.Platforms = nil
	return spec
}

// check is what a node says of an image.
type check struct{ whole, unpacked string } // "complete", "true"

func checked(t *testing.T, ctr []string, ref string) check {
	t.Helper()
	for line := range strings.Lines(run(t, ctr, "images", "check")) {
		if f := strings.Fields(line); f[0] == ref {
			return check{f[3], f[len(f)-1]}
		}
	}
	t.Errorf("%s is not among the images", ref)
	return check{}
}

// complete fails unless the node has all of ref, and has unpacked it or not;
// empty: that does not matter.
func complete(t *testing.T, ctr []string, ref, unpacked string) {
	t.Helper()
	if c := checked(t, ctr, ref); c.whole != "complete" || unpacked != "" && c.unpacked != unpacked {
		t.Errorf("%s: %+v, want it complete, and unpacked %q", ref, c, unpacked)
	}
}

func TestContainerd(t *testing.T) {
	ctr, address := startContainerd(t)
	t.Run("command", func(t *testing.T) { testNode(t, ctr, Options{Load: ctr}) })
	t.Run("socket", func(t *testing.T) { testNode(t, ctr, Options{Containerd: address}) })
	t.Run("pull", func(t *testing.T) {
		r := newRegistry(t)
		ref := publish(t, newPacker(t, Options{Registry: r.address}), here(t)).Reference
		run(t, ctr, "images", "pull", "--plain-http", ref)
		if checked(t, ctr, ref).unpacked != "true" { // containerd 2 leaves layers where they are, if it has unpacked such before
			t.Errorf("%s was not unpacked", ref)
		}
	})
}

// testNode brings images into a containerd that stays.
func testNode(t *testing.T, ctr []string, o Options) {
	spec := here(t)
	m := machines()[goruntime.GOARCH]
	program := func(name, text string) {
		write(t, spec.Dir, name, executable(m.id, m.order, false, t.Name()+text), 0o755)
	}
	unpacked := "true"
	if o.Containerd != "" { // it is left to whoever makes a container
		unpacked = "false"
	}
	var log strings.Builder
	o.Log = slog.New(slog.NewTextHandler(&log, nil))
	p := newPacker(t, o)
	program("bin/api", "one")
	first := publish(t, p, spec).Reference
	complete(t, ctr, first, unpacked)
	// The node has the layers below, so they are not in what it is given.
	program("bin/api", "two")
	second := publish(t, p, spec).Reference
	complete(t, ctr, second, "false")
	if log.Len() > 0 {
		t.Errorf("the node did not take the layers that it lacked alone: %s", log.String())
	}
	if again := publish(t, p, spec).Reference; again != second {
		t.Errorf("the same image has another name: %s, %s", again, second)
	}
	both := spec
	both.Package = &runtime.Package{Files: spec.Package.Files, Root: "/app", Platforms: []string{"linux/amd64", "linux/arm64"}}
	write(t, spec.Dir, "bin/api.linux-amd64", amd64(t.Name()), 0o755)
	write(t, spec.Dir, "bin/api.linux-arm64", arm64(t.Name()), 0o755)
	index := publish(t, p, both).Reference
	complete(t, ctr, index, unpacked)

	// What no image needs goes away, and nothing else does.
	if leases := strings.TrimSpace(run(t, ctr, "leases", "ls", "-q")); leases != "" {
		t.Errorf("leases are left: %s", leases)
	}
	run(t, ctr, "images", "rm", "--sync", first)
	complete(t, ctr, second, "")
	complete(t, ctr, index, "")
	_, digest, _ := strings.Cut(first, "@")
	if left := strings.Fields(run(t, ctr, "content", "ls", "-q")); slices.Contains(left, digest) {
		t.Errorf("the manifest of the first is left: %s", digest)
	}

	mounted := filepath.Join(t.TempDir(), "image")
	if err := os.Mkdir(mounted, 0o700); err != nil {
		t.Fatal(err)
	}
	run(t, ctr, "images", "mount", "--snapshotter", "native", second, mounted)
	defer run(t, ctr, "images", "unmount", "--rm", mounted)
	if text := mustRead(t, filepath.Join(mounted, "app/bin/api")); !strings.HasSuffix(string(text), "two") {
		t.Error("the image has the old program")
	}
	if info, err := os.Stat(filepath.Join(mounted, "tmp")); err != nil || info.Mode() != os.ModeDir|os.ModeSticky|0o777 {
		t.Errorf("/tmp: %v, %v", info, err)
	}
}

func mustRead(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
