package state

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func fileHash(t testing.TB, dir string) [32]byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(text)
}

// written returns the bytes of a database with n services, and what it holds.
// Several commits give it freed pages, and values over one page.
func written(t testing.TB, n int) ([]byte, Contents) {
	t.Helper()
	dir := t.TempDir()
	s := opened(t, dir)
	b := sample(n)
	b.Projects["big"] = bytes.Join([][]byte{[]byte(`"`), bytes.Repeat([]byte("y"), 9000), []byte(`"`)}, nil)
	committed(t, s, sample(n/2))
	committed(t, s, b)
	committed(t, s, Batch{Boot: "boot-2"})
	b.Boot = "boot-2"
	s.Close()
	text, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	return text, contents(b)
}

// lay writes a database file into a fresh directory.
func lay(t testing.TB, text []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, databaseName), text, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestCorruptFileIsMovedAside(t *testing.T) {
	good, _ := written(t, 40)
	garbage := make([]byte, len(good))
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	page := os.Getpagesize()
	zeroed := func(from, to int) []byte {
		b := bytes.Clone(good)
		clear(b[from:min(to, len(b))])
		return b
	}
	for what, text := range map[string][]byte{
		"empty":                nil,
		"one byte":             {1},
		"one page":             good[:page],
		"two pages":            good[:2*page],
		"half":                 good[:len(good)/2],
		"cut within the tree":  good[:6*page+100],
		"both heads zero":      zeroed(0, 2*page),
		"all but heads zero":   zeroed(2*page, len(good)),
		"all zero":             make([]byte, len(good)),
		"garbage":              garbage,
		"garbage behind heads": append(bytes.Clone(good[:2*page]), garbage[2*page:]...),
		"text":                 []byte("this is not a database\n"),
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			dir := lay(t, text)
			s, recovery, err := Open(dir, quiet)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			if recovery.Corrupt == "" || recovery.Cause == "" {
				t.Fatalf("recovery %+v", recovery)
			}
			if kept, err := os.ReadFile(recovery.Corrupt); err != nil || !bytes.Equal(kept, text) {
				t.Errorf("what was moved aside is not what was there: %v", err)
			}
			committed(t, s, sample(3))
			s.Close()
			s = opened(t, dir)
			same(t, "contents of the fresh one", loaded(t, s), contents(sample(3)))
		})
	}
}

func TestCorruptTwiceKeepsBoth(t *testing.T) {
	dir := lay(t, []byte("first"))
	_, first := reopen(t, dir)
	if err := os.WriteFile(filepath.Join(dir, databaseName), []byte("second"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, second := reopen(t, dir)
	for path, want := range map[string]string{first.Corrupt: "first", second.Corrupt: "second"} {
		if have, err := os.ReadFile(path); err != nil || string(have) != want {
			t.Errorf("%s: %q, %v", path, have, err)
		}
	}
}

// reopen opens dir, reads everything, and closes it again.
func reopen(t testing.TB, dir string) (*everything, Recovery) {
	t.Helper()
	s, recovery, err := Open(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	e := &everything{Contents: loaded(t, s)}
	if e.Events, err = s.Events(0, 0); err != nil {
		t.Fatal(err)
	}
	if err := s.Commit(Batch{Boot: "goes on"}); err != nil {
		t.Fatalf("the store is of no use: %v", err)
	}
	return e, recovery
}

type everything struct {
	Contents Contents
	Events   []Event
}

// A file with one change anywhere either reads as it was written, or Open
// says that something is wrong.
func TestMutationsNeverPassUnnoticed(t *testing.T) {
	t.Parallel()
	good, _ := written(t, 30)
	want, recovery := reopen(t, lay(t, good))
	if recovery != (Recovery{}) {
		t.Fatal(recovery)
	}
	const seed = 20260102
	rng := rand.New(rand.NewPCG(seed, seed))
	dir := t.TempDir()
	path := filepath.Join(dir, databaseName)
	noticed, warned, harmless := 0, 0, 0
	for n := range 200 {
		text, what := mutated(rng, good, n)
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		have, recovery := reopen(t, dir)
		switch {
		case recovery.Corrupt != "":
			noticed++
			if err := os.Remove(recovery.Corrupt); err != nil {
				t.Fatal(err)
			}
		case recovery.Cause != "":
			warned++
		default:
			harmless++
			if !reflect.DeepEqual(want, have) {
				t.Fatalf("seed %d, mutation %d (%s) passed unnoticed (-want +have):\n%s", seed, n, what, cmp.Diff(want, have))
			}
		}
	}
	t.Logf("%d moved aside, %d warned, %d without effect", noticed, warned, harmless)
	if noticed < 20 || warned == 0 {
		t.Errorf("the mutations do not reach what they should")
	}
}

// mutated returns text with one change. Half of the changes are in the first
// bytes of a page, where the structure is.
func mutated(rng *rand.Rand, text []byte, n int) ([]byte, string) {
	b := bytes.Clone(text)
	at := rng.IntN(len(b))
	if n%2 == 0 {
		page := os.Getpagesize()
		at = at/page*page + rng.IntN(96)
	}
	switch n / 2 % 5 {
	case 0:
		b[at] ^= 1 << rng.IntN(8)
		return b, "bit flipped"
	case 1:
		b[at] = byte(rng.Uint32())
		return b, "byte changed"
	case 2:
		for i := at; i < min(at+64, len(b)); i++ {
			b[i] = byte(rng.Uint32())
		}
		return b, "64 bytes of garbage"
	case 3:
		clear(b[at:min(at+512, len(b))])
		return b, "a sector of zeroes"
	}
	return b[:at], "cut"
}

// A branch that leads to itself would make bbolt recurse until the process
// dies, so inspect has to find every loop.
func TestLoopInTheTree(t *testing.T) {
	good, _ := written(t, 400)
	page := os.Getpagesize()
	loops := 0
	for at := 2 * page; at+page <= len(good); at += page {
		if good[at+8] != branchPage || good[at+9] != 0 {
			continue
		}
		text := bytes.Clone(good)
		copy(text[at+pageHeader+8:at+pageHeader+16], text[at:at+8]) // its first child is itself
		_, recovery := reopen(t, lay(t, text))
		if recovery.Corrupt != "" {
			loops++
		}
	}
	if loops == 0 {
		t.Error("no branch page in use was found")
	}
}
