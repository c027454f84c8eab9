package image

import (
	"context"
	"debug/elf"
	"encoding/binary"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stead-dev/stead/runtime"
)

func TestRefused(t *testing.T) {
	with := func(change func(dir string, s *runtime.Spec)) func(*testing.T) runtime.Spec {
		return func(t *testing.T) runtime.Spec {
			dir := project(t)
			s := specOf(dir)
			change(dir, &s)
			return s
		}
	}
	link := func(dir, name, to string) {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			panic(err)
		}
	}
	for name, c := range map[string]struct {
		spec func(*testing.T) runtime.Spec
		want string
	}{
		"dynamic": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", executable(elf.EM_X86_64, binary.LittleEndian, true, ""), 0o755)
			return specOf(dir)
		}, "linked dynamically"},
		"another architecture": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", arm64(""), 0o755)
			return specOf(dir)
		}, "EM_AARCH64, and linux/amd64 is wanted"},
		"big endian": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", executable(elf.EM_PPC64, binary.BigEndian, false, ""), 0o755)
			s := specOf(dir)
			s.Package.Platforms = []string{"linux/ppc64le"}
			return s
		}, "linux/ppc64le is wanted"},
		"program of macOS": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", []byte{0xcf, 0xfa, 0xed, 0xfe, 0}, 0o755)
			return specOf(dir)
		}, "an executable for macOS"},
		"script": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", []byte("#!/bin/sh\n"), 0o755)
			return specOf(dir)
		}, "is a script"},
		"empty program": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", nil, 0o755)
			return specOf(dir)
		}, "is empty"},
		"cut program": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", amd64("")[:20], 0o755)
			return specOf(dir)
		}, "damaged"},
		"not executable": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "bin/api", amd64(""), 0o644)
			return specOf(dir)
		}, "may not be executed"},
		"no program":          {with(func(_ string, s *runtime.Spec) { s.Command[0] = "bin/web" }), "is not there, neither as bin/web nor as bin/web.linux-amd64"},
		"program of the base": {with(func(_ string, s *runtime.Spec) { s.Command[0] = "node" }), "there is no base image"},
		"no command":          {with(func(_ string, s *runtime.Spec) { s.Command = nil }), "there is no base image"},
		"program outside":     {with(func(_ string, s *runtime.Spec) { s.Command[0] = "../bin/api" }), "not below"},
		"missing file":        {with(func(_ string, s *runtime.Spec) { s.Package.Files = []string{"dist/app.js"} }), "there is no dist/app.js"},
		"file outside":        {with(func(_ string, s *runtime.Spec) { s.Package.Files = []string{"../x"} }), "not below"},
		"absolute file":       {with(func(_ string, s *runtime.Spec) { s.Package.Files = []string{"/etc/passwd"} }), "not below"},
		"link out": {with(func(dir string, _ *runtime.Spec) { link(dir, "web/out", "../../x") }),
			"web/out leads out"},
		"link out by a directory": {with(func(dir string, _ *runtime.Spec) { link(dir, "web/up", "../.."); link(dir, "web/x", "up/etc") }),
			"leads out"},
		"absolute link": {with(func(dir string, _ *runtime.Spec) { link(dir, "web/abs", dir+"/bin/api") }), "another place in the image"},
		"link to what is not packed": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "other/x", nil, 0o644)
			link(dir, "web/other", "../other/x")
			return specOf(dir)
		}, "not packed"},
		"through a link": {with(func(dir string, s *runtime.Spec) {
			link(dir, "site", "web")
			s.Package.Files = []string{"site/index.html"}
		}),
			"no directory of its own"},
		"whiteout": {func(t *testing.T) runtime.Spec {
			dir := project(t)
			write(t, dir, "web/.wh.etc", nil, 0o644)
			return specOf(dir)
		}, "deletion"},
		"socket": {func(t *testing.T) runtime.Spec {
			dir, err := os.MkdirTemp("", "s") // a socket's path has to be short
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { os.RemoveAll(dir) })
			write(t, dir, "bin/api", amd64(""), 0o755)
			l, err := net.Listen("unix", dir+"/s")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { l.Close() })
			s := specOf(dir)
			s.Package.Files = []string{"."}
			return s
		}, "neither file, directory nor link"},
		"windows":       {with(func(_ string, s *runtime.Spec) { s.Package.Platforms = []string{"windows/amd64"} }), "only images for linux"},
		"odd platform":  {with(func(_ string, s *runtime.Spec) { s.Package.Platforms = []string{"amd64"} }), "platform"},
		"relative root": {with(func(_ string, s *runtime.Spec) { s.Package.Root = "app" }), "not a plain absolute path"},
		"root with ..":  {with(func(_ string, s *runtime.Spec) { s.Package.Root = "/app/../x" }), "not a plain absolute path"},
		"no package":    {with(func(_ string, s *runtime.Spec) { s.Package = nil }), "no package"},
		"no directory":  {with(func(dir string, s *runtime.Spec) { s.Dir = dir + "/none" }), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := newPacker(t, Options{}).Build(context.Background(), c.spec(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("err = %v, want %q in it", err, c.want)
			}
			if class := runtime.Class(err); class != runtime.Invalid && class != runtime.Unsupported {
				t.Errorf("class %v of %v", class, err)
			}
		})
	}
}
