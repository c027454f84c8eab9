//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// startLimit ends a start that hangs; it takes 5 to 15 s, and more on a machine
// that is busy with something else.
const startLimit = 5 * time.Minute

// keeper is the process that a cluster lives in. One goroutine decides; others
// bring it connections and the end of init.
type keeper struct {
	*cluster
	began    time.Time
	progress *os.File // told to up, until it is ready
	leases   *net.UnixListener
	init     *exec.Cmd
	leash    io.WriteCloser // a line starts the next stage; init ends when it is closed
	ended    chan error     // init's end, once
}

func keepCommand(args []string) error {
	var w wanted
	if len(args) != 1 || json.Unmarshal([]byte(args[0]), &w) != nil {
		return errors.New("keep is for clustertest up")
	}
	signal.Ignore(syscall.SIGHUP)
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	dir, err := dirOf(w.Name)
	if err != nil {
		return err
	}
	// What init leaves behind, without a pid namespace, comes to us: see end.
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return err
	}
	syscall.CloseOnExec(3)
	k := &keeper{began: time.Now(), progress: os.NewFile(3, "progress"), ended: make(chan error, 1)}
	if k.leases, err = net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "lease"), Net: "unix"}); err != nil {
		return err
	}
	if k.cluster, err = newCluster(dir, w); err != nil {
		return err
	}
	err = k.run(ctx, w.Linger)
	return errors.Join(err, k.end(err == nil))
}

// newCluster lays the cluster out.
func newCluster(dir string, w wanted) (*cluster, error) {
	binaries, err := prerequisites(w.Tier)
	if err != nil {
		return nil, err
	}
	at := func(elements ...string) string { return filepath.Join(append([]string{dir}, elements...)...) }
	c := &cluster{
		Name: w.Name, Tier: w.Tier, Version: version, Dir: dir, Linger: w.Linger.String(),
		Kubeconfig: at("kubeconfig"), Kubectl: at("bin", "kubectl"), Lease: at("lease"),
		Audit: at("log", "audit.log"), Logs: at("log"), Keeper: os.Getpid(), Services: services(0),
		binaries: binaries,
	}
	if w.Tier == "node" {
		net, reserved, err := reserve(w.Net)
		if err != nil {
			return nil, err
		}
		c.reserved, c.node, c.Services = reserved, newNode(net, dir), services(net)
	}
	if err := os.MkdirAll(at("bin"), 0o700); err != nil {
		return nil, err
	}
	return c, os.Symlink(binaries["kube"], c.Kubectl)
}

// run starts everything and returns when it is to end: without an error when
// nobody wants it any more.
func (k *keeper) run(ctx context.Context, linger time.Duration) error {
	held, gone := make(chan struct{}), make(chan struct{})
	go k.accept(held, gone) // ends with the process
	start, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	if err := k.start(start); err != nil {
		if ctx.Err() != nil {
			return nil // SIGTERM
		}
		return err
	}
	k.progress.Close()
	idle := time.NewTimer(linger)
	for leases := 0; ; {
		select {
		case <-held:
			leases++
			idle.Stop()
		case <-gone:
			if leases--; leases == 0 {
				idle.Reset(linger)
			}
		case <-idle.C:
			return nil
		case <-ctx.Done():
			return nil
		case err := <-k.ended:
			k.ended <- err
			return fmt.Errorf("init ended: %w", err)
		}
	}
}

// accept counts connections. What is sent on them means nothing.
func (k *keeper) accept(held, gone chan<- struct{}) {
	for {
		conn, err := k.leases.Accept()
		if err != nil {
			return
		}
		go func() { // ends with the connection, or the process: an answer is the process's end
			held <- struct{}{}
			_, _ = io.Copy(io.Discard, conn)
			gone <- struct{}{}
		}()
	}
}

func (k *keeper) reached(stage string) {
	l := lap{stage, float64(time.Since(k.began).Milliseconds()) / 1000}
	k.Times = append(k.Times, l)
	fmt.Fprintf(k.progress, "%6.1f s  %s\n", l.Seconds, stage)
	fmt.Printf("%6.1f s  %s\n", l.Seconds, stage)
}

// start returns when the cluster is ready.
func (k *keeper) start(ctx context.Context) error {
	p, err := k.ports()
	if err != nil {
		return err
	}
	if err := errors.Join(k.writeCertificates(), k.configure()); err != nil {
		return err
	}
	if k.node != nil {
		if err := k.makeCgroups(); err != nil {
			return err
		}
	}
	k.reached("certificates and configuration")
	if err := k.startInit(k.plan(p)); err != nil {
		return err
	}
	if k.node != nil {
		if err := k.connect(k.Init); err != nil {
			return err
		}
	}
	if err := k.next(); err != nil {
		return err
	}
	api, err := k.client()
	if err != nil {
		return err
	}
	if err := k.until(ctx, "kube-apiserver is ready", api.ready); err != nil {
		return err
	}
	if k.node != nil {
		if err := k.until(ctx, "containerd has the sandbox image", k.importSandbox); err != nil {
			return err
		}
	}
	if err := k.next(); err != nil {
		return err
	}
	if k.has("control") {
		if err := k.until(ctx, "the controller manager works", api.hasAccount); err != nil {
			return err
		}
	}
	if k.node != nil {
		if err := k.until(ctx, "the node is Ready", api.nodeReady); err != nil {
			return err
		}
	}
	return k.publish()
}

// ports returns the usual ones in a node, whose network is its own, and free
// ones of this machine else.
func (k *keeper) ports() (ports, error) {
	p := ports{2379, 2380, 6443}
	if k.node != nil {
		k.Server = fmt.Sprintf("https://%s:%d", k.Address, p.api)
		return p, nil
	}
	for _, port := range []*int{&p.etcd, &p.peer, &p.api} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		defer l.Close() // after all three: they must differ
		*port = l.Addr().(*net.TCPAddr).Port
	}
	k.Server = fmt.Sprintf("https://127.0.0.1:%d", p.api)
	return p, nil
}

// startInit starts the parent of all components: with a node, in namespaces of
// its own, whose first process it is.
func (k *keeper) startInit(p plan) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	if err := os.WriteFile(k.path("plan.json"), text, 0o600); err != nil {
		return err
	}
	out, err := os.Create(k.path("log", "init.log"))
	if err != nil {
		return err
	}
	defer out.Close()
	k.init = exec.Command("/proc/self/exe", "init", k.path("plan.json"))
	k.init.Dir = "/"
	k.init.Stdout, k.init.Stderr = out, out
	k.init.SysProcAttr = &syscall.SysProcAttr{}
	if k.node != nil {
		k.init.SysProcAttr.Cloneflags = syscall.CLONE_NEWNS | syscall.CLONE_NEWNET | syscall.CLONE_NEWPID
	}
	if k.leash, err = k.init.StdinPipe(); err != nil {
		return err
	}
	if err := k.init.Start(); err != nil {
		return fmt.Errorf("start init: %w", err)
	}
	k.Init = k.init.Process.Pid
	go func() { k.ended <- k.init.Wait() }() // ends with init
	return nil
}

func (k *keeper) next() error {
	_, err := io.WriteString(k.leash, "next\n")
	return err
}

// until asks ten times a second until the answer is nil.
func (k *keeper) until(ctx context.Context, what string, ask func(context.Context) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			k.reached(what)
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited until %s: %w: %w", what, context.Cause(ctx), err)
		case ended := <-k.ended:
			k.ended <- ended
			return fmt.Errorf("init ended before %s: %w: %w", what, ended, err)
		}
	}
}

// end leaves nothing behind but logs, and these only when something was wrong.
func (k *keeper) end(clean bool) error {
	if k.init != nil {
		k.leash.Close()
		<-k.ended
		for { // components without a pid namespace are killed with init, and are ours then
			if _, err := syscall.Wait4(-1, nil, 0, nil); err != nil && !errors.Is(err, syscall.EINTR) {
				break
			}
		}
	}
	var err error
	if k.node != nil {
		err = errors.Join(k.disconnect(), k.removeCgroups())
	}
	if clean {
		return errors.Join(err, os.RemoveAll(k.Dir))
	}
	for _, f := range []string{"cluster.json", "kubeconfig", "lease"} {
		if e := os.Remove(k.path(f)); !errors.Is(e, fs.ErrNotExist) {
			err = errors.Join(err, e)
		}
	}
	return err
}
