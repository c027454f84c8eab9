//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const cgroups = "/sys/fs/cgroup"

// makeCgroups makes the folder that the cgroups of all pods are below.
func (c *cluster) makeCgroups() error {
	if err := c.removeCgroups(); err != nil { // of a cluster that was killed
		return err
	}
	if _, err := os.Stat(cgroups + "/cgroup.controllers"); err == nil {
		return c.makeUnified()
	}
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		dir := filepath.Join(root, c.CgroupRoot)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		// Of these a new cgroup has none, and takes no process until it is given some.
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			text, err := os.ReadFile(filepath.Join(root, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			} else if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, file), text, 0); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeUnified is for cgroup v2: every controller that there is, for the pods.
func (c *cluster) makeUnified() error {
	text, err := os.ReadFile(cgroups + "/cgroup.controllers")
	if err != nil {
		return err
	}
	var enable strings.Builder
	for _, controller := range strings.Fields(string(text)) {
		enable.WriteString("+" + controller + " ")
	}
	if err := os.MkdirAll(cgroups+c.CgroupRoot, 0o755); err != nil {
		return err
	}
	for _, dir := range []string{cgroups, cgroups + c.CgroupRoot} {
		if err := os.WriteFile(dir+"/cgroup.subtree_control", []byte(enable.String()), 0); err != nil {
			return fmt.Errorf("give cgroup controllers to pods: %w: in a container, this takes a cgroup of its own without processes", err)
		}
	}
	return nil
}

// hierarchies returns where those of cgroup v1 are mounted.
func hierarchies() ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return nil, err
	}
	var roots []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 2 && f[2] == "cgroup" {
			roots = append(roots, f[1])
		}
	}
	return roots, nil
}

// removeCgroups removes them in all hierarchies, v1 and v2. Their processes are
// dead; the kernel needs a moment to notice.
func (c *cluster) removeCgroups() error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for try := 0; ; try++ {
		err := c.tryRemoveCgroups()
		if err == nil || try == 100 {
			return err
		}
		<-tick.C
	}
}

func (c *cluster) tryRemoveCgroups() error {
	dirs, err := filepath.Glob(cgroups + "/*" + c.CgroupRoot)
	if err != nil {
		return err
	}
	for _, dir := range append(dirs, cgroups+c.CgroupRoot) {
		var found []string
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				found = append(found, path)
			}
			return nil // what is gone is gone
		})
		if err != nil {
			return err
		}
		slices.Reverse(found)
		for _, f := range found {
			if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}
