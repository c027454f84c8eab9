//go:build !linux

package state

func badDisk(string) error { return nil } // only started on Linux
