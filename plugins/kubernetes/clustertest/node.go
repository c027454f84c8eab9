//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// reserve takes the addresses with that number, for as long as the file is open; the first free ones when it is negative.
func reserve(wanted int) (int, *os.File, error) {
	if wanted >= nets {
		return 0, nil, fmt.Errorf("-net is 0 to %d", nets-1)
	}
	if wanted >= 0 {
		f, err := occupy(wanted)
		return wanted, f, err
	}
	var all error
	for n := range nets {
		f, err := occupy(n)
		if err == nil {
			return n, f, nil
		}
		all = errors.Join(all, err)
	}
	return 0, nil, all
}

// occupy locks a file that all users of the machine agree on.
func occupy(n int) (*os.File, error) {
	f, err := os.OpenFile(fmt.Sprintf("/tmp/stead-clustertest-net-%d.lock", n), os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return nil, fmt.Errorf("-net %d is another cluster's: choose another one", n)
	}
	if err := free(newNode(n, ""), services(n)); err != nil {
		f.Close()
		return nil, fmt.Errorf("-net %d: %w: choose another one", n, err)
	}
	return f, nil
}

// free reports why the addresses cannot be taken.
func free(w *node, services string) error {
	var ours []*net.IPNet
	for _, cidr := range []string{w.Address + "/24", w.Pods, services} {
		_, n, err := net.ParseCIDR(cidr)
		if err != nil {
			return err
		}
		ours = append(ours, n)
	}
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Name == w.Link {
			return fmt.Errorf("there is a link %s already", l.Name)
		}
		addresses, err := l.Addrs()
		if err != nil {
			return err
		}
		for _, a := range addresses {
			for _, n := range ours {
				if has, ok := a.(*net.IPNet); ok && n.Contains(has.IP) {
					return fmt.Errorf("%s is in use: %s has %s", n, l.Name, a)
				}
			}
		}
	}
	return nil
}

// connect lays a cable between this machine and the node that init is in. It
// is gone with the node.
func (c *cluster) connect(init int) error {
	return ip(
		"link add "+c.Link+" type veth peer name eth0 netns "+fmt.Sprint(init),
		"addr add "+c.Host+"/24 dev "+c.Link,
		"link set "+c.Link+" up",
		"route add "+c.Pods+" via "+c.Address,
		"route add "+c.Services+" via "+c.Address,
	)
}

// disconnect does not wait for the kernel to clean up behind a namespace.
func (c *cluster) disconnect() error {
	if _, err := net.InterfaceByName(c.Link); err != nil {
		return nil
	}
	if err := ip("link del " + c.Link); err != nil {
		if _, gone := net.InterfaceByName(c.Link); gone == nil {
			return err
		}
	}
	return nil
}

func ip(commands ...string) error {
	for _, c := range commands {
		if out, err := exec.Command("ip", strings.Fields(c)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", c, err, out)
		}
	}
	return nil
}

// isolate gives the node, which is in namespaces of its own already, a view of
// the machine in which nothing it writes is the machine's.
func (p *parent) isolate() error {
	mounts := []struct {
		from, to, kind string
		flags          uintptr
		data           string
	}{
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"", "/", "", syscall.MS_REC | syscall.MS_SHARED, ""}, // containers get volumes from it
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
		{"tmpfs", "/run", "tmpfs", 0, "mode=755"},
		{"tmpfs", "/var/lib", "tmpfs", 0, "mode=755"},
		{"tmpfs", "/var/log", "tmpfs", 0, "mode=755"},
	}
	for _, m := range mounts {
		if err := syscall.Mount(m.from, m.to, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s: %w", m.to, err)
		}
	}
	if err := os.MkdirAll("/run/lock", 0o755); err != nil {
		return err
	}
	// The kubelet sets these for the whole machine, or fails: show it files
	// that hold what it wants.
	for name, value := range map[string]string{"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"} {
		file := filepath.Join(p.Dir, "sysctl", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := syscall.Mount(file, "/proc/sys/"+name, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount over /proc/sys/%s: %w", name, err)
		}
	}
	return nil
}

// network is called once the cable is there.
func (p *parent) network() error {
	n := p.Node
	err := ip("link set lo up", "addr add "+n.Address+"/24 dev eth0", "link set eth0 up", "route add default via "+n.Host)
	if err != nil {
		return err
	}
	// Both belong to the network namespace. The second makes kube-proxy's rules
	// hold between pods of the same bridge.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0); err != nil {
		return err
	}
	err = os.WriteFile("/proc/sys/net/bridge/bridge-nf-call-iptables", []byte("1"), 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a kernel without it
	}
	return err
}
