//go:build !linux

package main

import "errors"

var errMounts = errors.New("this mode needs Linux: mounts that nobody else sees")

func inside(func() error) error          { return errMounts }
func (s *stead) mountHome(string) error  { return errMounts }
func (s *stead) resizeHome(string) error { return errMounts }
func (s *stead) sealHome() error         { return errMounts }
func (s *stead) unsealHome() error       { return errMounts }
func (s *stead) rescue(err error) error  { return err }
