package main

import "testing"

// TestAHintNamesTheEnvironment: daemons do not know how they were called.
func TestAHintNamesTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ target, hint, want string }{
		{"", "read what it wrote: stead logs web", "read what it wrote: stead logs web"},
		{"local", "look with: stead status", "look with: stead status"},
		{"dev", "read what it wrote: stead logs web", "read what it wrote: stead --env dev logs web"},
		{"dev", "stead daemon stop --services, then `stead up`", "stead --env dev daemon stop --services, then `stead --env dev up`"},
		{"dev", "run `stead --env dev up` first", "run `stead --env dev up` first"},
		{"a$1", "stead why web", "stead --env a$1 why web"},
		{"dev", "stead environments shows which there are; instead updates", "stead environments shows which there are; instead updates"},
	} {
		if got := (&cli{target: tt.target}).aim(tt.hint); got != tt.want {
			t.Errorf("%s: %q is %q, want %q", tt.target, tt.hint, got, tt.want)
		}
	}
}
