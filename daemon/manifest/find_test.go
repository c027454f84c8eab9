package manifest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stead-dev/stead/runtime"
)

const least = "services: {web: {command: web}}\n"

func TestNoManifest(t *testing.T) {
	for beside, hint := range map[string]string{
		"":             "create one",
		"stead.yml":    "rename stead.yml",
		"compose.yaml": "found compose.yaml: web: `stead init`",
		"Procfile":     "found Procfile: services: `stead init`",
	} {
		dir := t.TempDir()
		if beside != "" {
			write(t, dir, beside, least)
		}
		_, _, err := Load(Request{Directory: dir})
		if !errors.Is(err, runtime.NotFound) || !strings.Contains(runtime.Hint(err), hint) {
			t.Errorf("beside %q: %v, hint %q", beside, err, runtime.Hint(err))
		}
	}
	_, _, err := Load(Request{File: filepath.Join(t.TempDir(), "other.yaml")})
	if !errors.Is(err, runtime.NotFound) || runtime.Hint(err) == "" {
		t.Errorf("a file that is not there: %v", err)
	}
}

// TestOneProjectByTwoPaths: a project that is reached through a link is the
// same, down to the hash of its specs.
func TestOneProjectByTwoPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "real/"+FileName, least)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "real"), link); err != nil {
		t.Fatal(err)
	}
	a, _, err1 := Load(Request{Directory: filepath.Join(dir, "real")})
	b, _, err2 := Load(Request{File: filepath.Join(link, FileName)})
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("by link (-real +link):\n%s", diff)
	}
}

func TestRelativePathIsRefused(t *testing.T) {
	for _, req := range []Request{{}, {Directory: "testdata"}, {File: FileName}} {
		if _, _, err := Load(req); !errors.Is(err, runtime.Invalid) {
			t.Errorf("%+v: %v", req, err)
		}
	}
}

func TestNotAFile(t *testing.T) {
	dir := t.TempDir()
	file := write(t, dir, FileName, strings.Repeat("#\n", maxFile/2+1))
	for _, path := range []string{file, dir, os.DevNull} {
		_, _, err := Load(Request{File: path})
		found, ok := errors.AsType[runtime.Diagnostics](err)
		if !ok || len(found) != 1 || !errors.Is(err, runtime.Invalid) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestDirectoryName(t *testing.T) {
	for directory, want := range map[string]string{
		"/home/me/shop":               "shop",
		"/home/me/My Shop!":           "my-shop",
		"/home/me/.hidden":            "hidden",
		"/":                           "project",
		"/é":                          "project",
		"/" + strings.Repeat("a", 90): strings.Repeat("a", 63),
	} {
		got := nameOf(directory)
		if got != want || !validName.MatchString(got) {
			t.Errorf("%s: %q, want %q", directory, got, want)
		}
	}
}

func TestWanted(t *testing.T) {
	p := load(t, `
services:
  web: {command: web, depends_on: [db]}
  db: {command: db}
  seed: {command: seed, profiles: [tools]}
  debug: {command: debug, profiles: [tools, dev]}
`)
	for _, c := range []struct {
		services, profiles, want []string
		hint                     string
	}{
		{nil, nil, []string{"db", "web"}, ""},
		{nil, []string{"dev"}, []string{"db", "web", "debug"}, ""},
		{[]string{"seed", "web", "seed"}, nil, []string{"web", "seed"}, ""},
		{[]string{"wbe"}, nil, nil, `did you mean "web"?`},
		{[]string{"nothing-like-it"}, nil, nil, "there is: db, debug, seed, web"},
		{nil, []string{"tool"}, nil, `did you mean "tools"?`},
	} {
		got, err := p.Wanted(c.services, c.profiles)
		if diff := cmp.Diff(c.want, got); diff != "" || runtime.Hint(err) != c.hint || (err != nil) != errors.Is(err, runtime.NotFound) {
			t.Errorf("%v %v: %v, %v, hint %q", c.services, c.profiles, got, err, runtime.Hint(err))
		}
	}
}

// TestShop loads the project that everything else is tried on.
func TestShop(t *testing.T) {
	dir, err := filepath.Abs("../../testdata/shop/web")
	if err != nil {
		t.Fatal(err)
	}
	p, warnings, err := Load(Request{Directory: dir})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	if diff := cmp.Diff([]string{"migrate", "catalog", "cart", "web", "worker", "shell"}, p.Order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	if got := p.Services["web"].Spec.Environment["STEAD_CART_URL"]; got != "grpc://127.0.0.1:9002" {
		t.Errorf("STEAD_CART_URL is %q", got)
	}
}
