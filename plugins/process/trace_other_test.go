//go:build !linux

package process

func trace(int) {}
