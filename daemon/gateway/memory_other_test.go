//go:build !linux

package gateway_test

import "testing"

const canSeeHangups = false

func report(testing.TB, string, int) {}
