package main

import (
	"strings"
	"testing"
)

func TestConverse(t *testing.T) {
	for in, want := range map[string]string{
		"echo a  b\nexit\necho never\n": "shop> a  b\nshop> ",
		"\nwhat\n":                      "shop> shop> what: unknown command; try help\nshop> \n",
		"help":                          "shop> help, echo TEXT, size, exit\nshop> \n",
	} {
		var out strings.Builder
		if err := converse(strings.NewReader(in), &out); err != nil || out.String() != want {
			t.Errorf("%q gives %q (%v), want %q", in, out.String(), err, want)
		}
	}
}
