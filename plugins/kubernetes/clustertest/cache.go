//go:build linux

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"syscall"
	"time"
)

// version is that of kube/go.mod. It is stamped in: the components compare
// theirs with each other's.
const version = "v1.37.1"

// unused is when a binary of the cache is deleted that nobody has started.
const unused = 30 * 24 * time.Hour

// product is a static binary that takes long to build, and so is kept.
type product struct {
	name, folder string // folder below source
	flags        []string
}

func kube() product {
	const component = "k8s.io/component-base/version"
	return product{"kube", "kube", []string{
		"-tags", "providerless,selinux_disabled",
		"-ldflags", "-s -w -X " + component + ".gitVersion=" + version + " -X " + component + ".gitMajor=1 -X " + component + ".gitMinor=37" +
			" -X " + component + ".gitTreeState=clean -X " + component + ".buildDate=1970-01-01T00:00:00Z" +
			" -X k8s.io/client-go/pkg/version.gitVersion=" + version,
	}}
}

func dns() product   { return product{"dns", "dns", []string{"-ldflags", "-s -w"}} }
func pause() product { return product{"pause", "pause", []string{"-ldflags", "-s -w"}} }

// products are what a tier consists of.
func products(tier string) []product {
	if tier != "node" {
		return []product{kube()}
	}
	return []product{kube(), pause(), dns()}
}

func cacheDir() (string, error) {
	if dir := os.Getenv("STEAD_CLUSTERTEST_CACHE"); dir != "" {
		return dir, nil
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "stead-clustertest"), err
}

// key is the hash of all that decides what the binary is: builds are
// reproducible. The compiler is the one that has built this program.
func (p product) key() (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, goruntime.Version(), goruntime.GOARCH, p.name, p.flags)
	for _, name := range []string{"go.mod", "go.sum", "main.go"} {
		text, err := os.ReadFile(filepath.Join(source, p.folder, name))
		if errors.Is(err, fs.ErrNotExist) && name != "main.go" {
			continue // of this module, and without dependencies
		} else if err != nil {
			return "", fmt.Errorf("the source of %s: %w: build clustertest by make", p.name, err)
		}
		fmt.Fprintln(h, name, len(text))
		h.Write(text)
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8]), nil
}

func (p product) path() (string, error) {
	dir, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := p.key()
	return filepath.Join(dir, key, p.name), err
}

// built returns where the binary is, and an error when it has to be built.
func (p product) built() (string, error) {
	path, err := p.path()
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s has not been built: run `make cluster-build`, which takes 10 minutes or more: %w", path, errCannot)
	}
	now := time.Now()
	_ = os.Chtimes(path, now, now) // for trim; a read-only cache is as good
	return path, nil
}

// build makes the binary unless it is there. A build that was cut short has
// filled Go's build cache, from which the next one goes on.
func (p product) build(ctx context.Context) error {
	path, err := p.path()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	unlock, err := lock(path + ".lock")
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := p.built(); err == nil {
		return nil
	}
	begin := time.Now()
	fmt.Fprintf(os.Stderr, "building %s\n", path)
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-buildvcs=false", "-o", path + ".new"}, append(p.flags, ".")...)...)
	cmd.Dir = filepath.Join(source, p.folder)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go then removes its work folder
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Run(); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("build %s: %w", p.name, err)
	}
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Fprintf(os.Stderr, "built %s in %.0f s, %.0f s of CPU\n", p.name, time.Since(begin).Seconds(), cpu.Seconds())
	return os.Rename(path+".new", path)
}

func buildCommand(args []string) error {
	f := newFlags("build")
	limit := f.Duration("timeout", time.Hour, "give up after so long; what was compiled stays in Go's build cache")
	if err := f.parse(args); err != nil {
		return err
	}
	if err := machine(f.tier); err != nil { // before half an hour is spent on what will not be used
		return err
	}
	_ = syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10) // somebody works on this machine
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	ctx, cancel = context.WithTimeoutCause(ctx, *limit, fmt.Errorf("not ready after %s: %w", *limit, errCannot))
	defer cancel()
	for _, p := range products(f.tier) {
		if err := p.build(ctx); err != nil {
			return err
		}
	}
	return trim()
}

// trim deletes binaries that have not been used for long.
func trim() error {
	dir, err := cacheDir()
	if err != nil {
		return err
	}
	files, _ := filepath.Glob(filepath.Join(dir, strings.Repeat("?", 16), "*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil && time.Since(info.ModTime()) > unused {
			_ = os.Remove(f)
			_ = os.Remove(filepath.Dir(f)) // once it is empty
		}
	}
	return nil
}

// readyCommand says what is missing.
func readyCommand(args []string) error {
	f := newFlags("ready")
	if err := f.parse(args); err != nil {
		return err
	}
	_, err := prerequisites(f.tier)
	return err
}

// prerequisites returns the binaries by name, and an error that says what the
// tier lacks on this machine.
func prerequisites(tier string) (map[string]string, error) {
	binaries := map[string]string{}
	for _, p := range products(tier) {
		path, err := p.built()
		if err != nil {
			return nil, err
		}
		if strings.HasPrefix(path, "/var/lib/") || strings.HasPrefix(path, "/run/") {
			return nil, fmt.Errorf("%s is where a node has folders of its own: choose another by STEAD_CLUSTERTEST_CACHE", path)
		}
		binaries[p.name] = path
	}
	return binaries, machine(tier)
}

// machine says what a tier lacks besides binaries.
func machine(tier string) error {
	if tier != "node" {
		return nil
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("a node takes root, for namespaces and mounts: %w", errCannot)
	}
	probe := exec.Command("/proc/self/exe", "image") // does nothing but say how it is used
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET}
	if err := probe.Start(); err != nil {
		return fmt.Errorf("a node takes namespaces of mounts, processes and networks, which are not allowed here: %w: %w", err, errCannot)
	}
	_ = probe.Wait() // that it began is all there is to know
	for _, program := range []string{"containerd", "containerd-shim-runc-v2", "ctr", "runc", "ip", "iptables", "nft"} {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is missing: install containerd runc containernetworking-plugins iptables nftables iproute2: %w", program, errCannot)
		}
	}
	if _, err := os.Stat(cniPlugins + "/bridge"); err != nil {
		return fmt.Errorf("%w: install containernetworking-plugins: %w", err, errCannot)
	}
	return nil
}
