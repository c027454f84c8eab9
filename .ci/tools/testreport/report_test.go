package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func lines(text ...string) string { return strings.Join(text, "\n") + "\n" }

func TestReport(t *testing.T) {
	for what, c := range map[string]struct {
		in    string
		allow string // contents of the file; empty: no file
		ok    bool
		want  []string // in this order
		not   string
	}{
		"all well": {
			in: lines(
				`{"Action":"run","Package":"p","Test":"TestA"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"noise\n"}`,
				`{"Action":"pass","Package":"p","Test":"TestA","Elapsed":0.1}`,
				`{"Action":"pass","Package":"p","Elapsed":1.5}`),
			ok: true, want: []string{"ok    p 1.5s", "1 passed, 0 failed, 0 skipped\n"}, not: "noise",
		},
		"failure with its output": {
			in: lines(
				`{"Action":"output","Package":"p","Test":"TestA","Output":"=== RUN   TestA\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA","Output":"    a_test.go:3: wrong\n"}`,
				`{"Action":"fail","Package":"p","Test":"TestA","Elapsed":0.1}`,
				`{"Action":"output","Package":"p","Output":"FAIL\n"}`,
				`{"Action":"fail","Package":"p","Elapsed":1}`),
			want: []string{"--- failed: p TestA", "a_test.go:3: wrong", "FAIL  p", "0 passed, 1 failed, 0 skipped\n"}, not: "=== RUN",
		},
		"skip": {
			in: lines(
				`{"Action":"output","Package":"p","Test":"TestA/b","Output":"    a_test.go:3: needs: tmux\n"}`,
				`{"Action":"output","Package":"p","Test":"TestA/b","Output":"    --- SKIP: TestA/b (0.00s)\n"}`,
				`{"Action":"skip","Package":"p","Test":"TestA/b"}`),
			ok: true, want: []string{"skipped: TestA/b: needs: tmux (p)", "0 passed, 0 failed, 1 skipped\n"},
		},
		"skip allowed by its parent": {
			in: `{"Action":"skip","Package":"p","Test":"TestA/b"}`, allow: "TestA # no disk\n",
			ok: true, want: []string{"0 passed, 0 failed, 1 skipped\n"},
		},
		"skip not allowed": {
			in: `{"Action":"skip","Package":"p","Test":"TestAB"}`, allow: "TestA # no disk\n",
			want: []string{"TestAB was skipped and is not", "0 passed, 1 failed, 1 skipped\n"},
		},
		"package without tests is no skip": {
			in: `{"Action":"skip","Package":"p"}`, allow: "# none\n",
			ok: true, want: []string{"0 passed, 0 failed, 0 skipped\n"},
		},
		"does not build": {
			in: lines(
				`{"ImportPath":"p","Action":"build-output","Output":"p.go:1: undefined: x\n"}`,
				`{"ImportPath":"p","Action":"build-fail"}`,
				`{"Action":"output","Package":"p","Output":"FAIL p [build failed]\n"}`,
				`{"Action":"fail","Package":"p","FailedBuild":"p"}`),
			want: []string{"does not build: p", "undefined: x", "FAIL  p", "0 passed, 1 failed, 0 skipped\n"},
		},
		"panic": {
			in: lines(
				`{"Action":"output","Package":"p","Test":"TestA","Output":"was doing this\n"}`,
				`{"Action":"output","Package":"p","Output":"panic: boom\n"}`,
				`{"Action":"fail","Package":"p"}`),
			want: []string{"panic: boom", "under way: p TestA", "was doing this", "0 passed, 1 failed, 0 skipped\n"},
		},
		"go itself complains": {
			in: "go: cannot find main module\n", want: []string{"cannot find main module", "no tests to read about"},
		},
		"go fails after all tests": {
			in:   lines(`{"Action":"pass","Package":"p","Test":"TestA"}`, `{"Action":"broken"}`),
			want: []string{"1 passed, 1 failed, 0 skipped\n"},
		},
		"nothing": {want: []string{"no tests to read about"}},
	} {
		t.Run(what, func(t *testing.T) {
			allow := ""
			if c.allow != "" {
				allow = filepath.Join(t.TempDir(), "allowed")
				if err := os.WriteFile(allow, []byte(c.allow), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var out strings.Builder
			ok, err := run(strings.NewReader(c.in), &out, files{allow: allow})
			if err != nil || ok != c.ok {
				t.Errorf("ok %v, error %v", ok, err)
			}
			rest := out.String()
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Errorf("%q is missing (in this order) in:\n%s", want, out.String())
				}
				rest = after
			}
			if c.not != "" && strings.Contains(out.String(), c.not) {
				t.Errorf("%q is in:\n%s", c.not, out.String())
			}
		})
	}
}

func TestAllowedSkipNeedsAReason(t *testing.T) {
	path := filepath.Join(t.TempDir(), "allowed")
	if err := os.WriteFile(path, []byte("TestA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readAllowed(path); err == nil || !strings.Contains(err.Error(), ":1: TestA has no reason") {
		t.Errorf("error %v", err)
	}
}

func TestSkipsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "skips")
	in := `{"Action":"skip","Package":"p","Test":"TestA"}`
	if _, err := run(strings.NewReader(in), &strings.Builder{}, files{skips: path}); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "TestA: no reason given (p)\n" {
		t.Errorf("%q", text)
	}
}

func TestFailedList(t *testing.T) {
	a := `{"Action":"fail","Package":"p","Test":"TestA/x"}
{"Action":"fail","Package":"p","Test":"TestA"}
{"Action":"fail","Package":"p"}
`
	broken := `{"Action":"broken"}` + "\n"
	for what, c := range map[string]struct{ in, allow, want string }{
		"well":                    {in: `{"Action":"pass","Package":"p","Test":"TestA"}`},
		"a test":                  {in: a, want: "p TestA"},
		"go said so too":          {in: a + broken, want: "p TestA"},
		"another module is worse": {in: a + broken + broken},
		"a package died":          {in: a + `{"Action":"fail","Package":"q"}`},
		"a skip is not allowed":   {in: a + `{"Action":"skip","Package":"p","Test":"TestB"}`, allow: "# none\n"},
	} {
		t.Run(what, func(t *testing.T) {
			f := files{failed: filepath.Join(t.TempDir(), "failed")}
			if c.allow != "" {
				f.allow = filepath.Join(t.TempDir(), "allow")
				if err := os.WriteFile(f.allow, []byte(c.allow), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := run(strings.NewReader(c.in), &strings.Builder{}, f); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(f.failed)
			if err != nil || string(got) != c.want {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}
