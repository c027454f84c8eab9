package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// insideVariable tells a lab that it has mounts of its own.
const insideVariable = "STEAD_LAB_MOUNTS"

// inside runs fn where mounts are seen by nobody else, and vanish with the
// last process: in this program, started once more.
func inside(fn func() error) error {
	if os.Getenv(insideVariable) != "" {
		return fn()
	}
	if os.Getuid() != 0 {
		return fmt.Errorf("this mode mounts file systems, which needs root")
	}
	signal.Ignore(syscall.SIGINT) // the terminal sends it to both
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd.Run()
}

// mountHome puts the home on a file system of its own.
func (s *stead) mountHome(size string) error {
	if err := os.MkdirAll(s.home(), 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("lab", s.home(), "tmpfs", 0, "mode=0700,size="+size); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	return nil
}

// resizeHome gives the mounted home another size.
func (s *stead) resizeHome(size string) error {
	return syscall.Mount("lab", s.home(), "tmpfs", syscall.MS_REMOUNT, "mode=0700,size="+size)
}

// sealHome makes the home read-only for whoever opens something there from
// now on; unsealHome takes that back.
func (s *stead) sealHome() error {
	if err := syscall.Mount(s.home(), s.home(), "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	return syscall.Mount("", s.home(), "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
}

func (s *stead) unsealHome() error { return syscall.Unmount(s.home(), 0) }

// rescue copies the home to where it can be seen when the mount is gone.
func (s *stead) rescue(err error) error {
	if err != nil {
		_ = os.CopyFS(s.dir+"/home-copy", os.DirFS(s.home())) // stops at sockets; what was copied helps
	}
	_ = syscall.Unmount(s.home(), syscall.MNT_DETACH) // else the last process does it
	return err
}
