//go:build !linux

package process

import "errors"

func notify(string) error { return errors.ErrUnsupported }

func garbage() {}
