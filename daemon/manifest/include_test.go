package manifest

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	"mvdan.cc/sh/v3/syntax"

	"github.com/stead-dev/stead/runtime"
)

// tree writes the files of an archive and loads its stead.yaml.
func tree(t *testing.T, archive string, environ ...string) (*Project, []runtime.Diagnostic, error) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range txtar.Parse([]byte(archive)).Files {
		write(t, dir, f.Name, string(f.Data))
	}
	p, warnings, err := Load(Request{Directory: dir, Environment: environ})
	if p != nil {
		return p, warnings, err
	}
	return nil, warnings, err
}

// told is what was found, a line each, with paths below dir made short.
func told(err error, dir string) string {
	var out strings.Builder
	all, _ := errors.AsType[runtime.Diagnostics](err)
	for _, one := range all {
		fmt.Fprintf(&out, "%s: %s\n", one.Position(), one.Text)
	}
	return strings.ReplaceAll(out.String(), dir+"/", "")
}

func TestInclude(t *testing.T) {
	p, warnings, err := tree(t, `
-- stead.yaml --
include:
  - pay/stead.yaml
  - {path: [mail/a.yaml, mail/b.yaml], env_file: mail/own.env}
  - {path: tools.yaml, project_directory: tools}
services:
  web: {command: "web ${WHO}", depends_on: [pay, mail]}
-- .env --
WHO=main
-- pay/stead.yaml --
name: payments
include: [../shared/stead.yaml]
services:
  pay: {command: "./pay ${WHO} ${ONLY}", env_file: pay.env, depends_on: [db]}
-- pay/.env --
WHO=pay
ONLY=in-pay
-- pay/pay.env --
KEY=1
-- shared/stead.yaml --
services:
  db: {command: db}
-- mail/a.yaml --
include: [../shared/stead.yaml]
services:
  mail: {command: "mail ${ONLY}", environment: {A: a, B: a}}
-- mail/b.yaml --
services:
  mail: {environment: [B=b]}
-- mail/own.env --
ONLY=in-mail
-- tools.yaml --
services:
  tool: {command: ./tool, working_dir: bin}
`, "CALLER=x")
	if err != nil {
		t.Fatal(err)
	}
	dir := p.Directory
	got := map[string]string{}
	for name, s := range p.Services {
		got[name] = strings.TrimPrefix(s.Spec.Dir, dir) + ": " + strings.Join(s.Spec.Command, " ")
	}
	if diff := cmp.Diff(map[string]string{
		"web": ": web main", "pay": "/pay: ./pay main in-pay", "db": "/shared: db", "mail": "/mail: mail in-mail", "tool": "/tools/bin: ./tool",
	}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if env := p.Services["mail"].Spec.Environment; env["A"] != "a" || env["B"] != "b" {
		t.Errorf("mail: %v", env)
	}
	if env := p.Services["pay"].Spec.Environment; env["KEY"] != "1" {
		t.Errorf("pay: %v", env)
	}
	if len(p.Sources) != 6 {
		t.Errorf("sources: %v", slices.Sorted(maps.Keys(p.Sources)))
	}
	for _, w := range warnings {
		if !strings.Contains(w.Text, "is not there") { // directories and commands, none of which exist
			t.Errorf("%s: %s", w.Position(), w.Text)
		}
	}
}

// TestIncludeFindings: each names the file it is in.
func TestIncludeFindings(t *testing.T) {
	for name, c := range map[string]struct{ archive, want string }{
		"a cycle is shown whole": {`
-- stead.yaml --
include: [a/a.yaml]
services: {web: {command: web}}
-- a/a.yaml --
include: [../b.yaml]
-- b.yaml --

include: [stead.yaml]
`, "b.yaml:2:11: files include each other: stead.yaml -> a/a.yaml -> b.yaml -> stead.yaml\n"},
		"a file that includes itself": {`
-- stead.yaml --
include: [stead.yaml]
services: {web: {command: web}}
`, "stead.yaml:1:11: files include each other: stead.yaml -> stead.yaml\n"},
		"positions": {`
-- stead.yaml --
include: [b.yaml]
services:
  web: {comand: web}
-- b.yaml --
# a comment
services:
  db:
    command: "$X ${Y!}"
    ports: {http: many}
environments: {}
`, "b.yaml:4:18: ${Y!} is not understood\nb.yaml:5:19: port http: \"many\" is no port\nb.yaml:6:1: \"environments\" is not a key of an included file\n" +
			"stead.yaml:3:3: service \"web\" has no command\nstead.yaml:3:9: unknown key \"comand\" in a service\n"},
		"not YAML": {`
-- stead.yaml --
include: [b.yaml]
services: {web: {command: web}}
-- b.yaml --
services:
  a: {command: "x
`, "b.yaml:2:16: not valid YAML: what begins here is not closed\n"},
		"twice": {`
-- stead.yaml --
include: [b.yaml]
services:
  web: {command: web}
-- b.yaml --
services:
  web: {command: other}
`, "b.yaml:2:3: service \"web\" is here and at stead.yaml:3\n"},
		"missing and odd": {`
-- stead.yaml --
include: [none.yaml, "", {env_file: x}, {path: [], x-y: 1}, {path: b.yaml, env_file: none.env, more: 1}, [c]]
services: {web: {command: web}}
-- b.yaml --
services: [x]
`, "b.yaml:1:11: services must be a mapping, not a list\n" +
			"stead.yaml:1:11: include none.yaml cannot be read: no such file or directory\nstead.yaml:1:22: include is empty\nstead.yaml:1:26: include has no path\n" +
			"stead.yaml:1:86: env_file none.env cannot be read: no such file or directory\nstead.yaml:1:96: unknown key \"more\" in include\n" +
			"stead.yaml:1:106: include must be a text, not a list\n"},
		"not a list": {`
-- stead.yaml --
include: other.yaml
services: {web: {command: web}}
`, "stead.yaml:1:10: include must be a list, not a single value\n"},
		"an error in a .env beside an included file": {`
-- stead.yaml --
include: [b/b.yaml]
services: {web: {command: web}}
-- b/b.yaml --
services: {db: {command: db}}
-- b/.env --
A=1
B="not shown
`, "b/.env:2: a quote that is not closed\n"},
		"dependencies and ports over files": {`
-- stead.yaml --
include: [b.yaml]
services: {web: {command: web, ports: 9000, depends_on: [db]}}
-- b.yaml --
services: {db: {command: db, ports: 9000, depends_on: [web]}}
`, "b.yaml:1:37: port 9000 of db/http is that of web/http already, at 2:39\nstead.yaml:2:58: services wait for each other: web -> db -> web\n"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := ""
			_, _, err := tree(t, c.archive)
			if all, ok := errors.AsType[runtime.Diagnostics](err); ok {
				dir = all[0].File
				for !exists(filepath.Join(dir, FileName)) {
					dir = filepath.Dir(dir)
				}
			}
			if diff := cmp.Diff(c.want, told(err, dir)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

func TestOverride(t *testing.T) {
	p, _, err := tree(t, `
-- stead.yaml --
x-base: &base {restart: {policy: always, min: 1s}, stop: {grace: 5s, signal: INT}}
services:
  web:
    <<: *base
    command: [web, --level, info]
    build: [go, build]
    environment: [A=1, B=1, C=1]
    env_file: one.env
    depends_on: [db]
    ports: 9000
    profiles: [front]
    ready: {http: /healthz}
    working_dir: app
  db: {command: db, ports: {db: 5000}, environment: {A: 1}}
  gone: {command: gone}
-- stead.override.yaml --
services:
  web:
    command: [web, --level, debug]
    build: !reset null
    environment: {B: 2, D: 2, C: !reset null}
    env_file: [two.env]
    depends_on: {extra: {condition: service_started}}
    ports: {admin: 9001}
    profiles: [front, debug]
    ready: tcp
    stop: {grace: 1s}
  db: {environment: !override {Z: 1}, ports: {db: 5001}}
  gone: !reset null
  extra: {command: extra}
-- one.env --
ONE=1
BOTH=1
-- two.env --
BOTH=2
`)
	if err != nil {
		t.Fatal(err)
	}
	web, db := p.Services["web"], p.Services["db"]
	if diff := cmp.Diff([]string{"db", "extra", "web"}, slices.Sorted(maps.Keys(p.Services))); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
	env := maps.Clone(web.Spec.Environment)
	maps.DeleteFunc(env, func(name, _ string) bool { return strings.HasPrefix(name, "STEAD_") })
	if diff := cmp.Diff(map[string]string{"A": "1", "B": "2", "D": "2", "ONE": "1", "BOTH": "2"}, env); diff != "" {
		t.Errorf("environment (-want +got):\n%s", diff)
	}
	if got := strings.Join(web.Spec.Command, " "); got != "web --level debug" || web.Build != nil || len(web.Plan.DependsOn) != 2 {
		t.Errorf("command %q, build %v, needs %v", got, web.Build, web.Plan.DependsOn)
	}
	if s := web.Spec; s.Stop != (runtime.Stop{Signal: "INT", Grace: time.Second}) || s.Restart.Policy != runtime.RestartAlways || s.Ready.Kind != runtime.ProbeTCP || len(s.Ports) != 2 {
		t.Errorf("web: %+v", s)
	}
	if diff := cmp.Diff([]string{"front", "debug"}, web.Profiles); diff != "" {
		t.Errorf("profiles (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"Z": "1"}, db.Spec.Environment); diff != "" || db.Spec.Ports[0].Number != 5001 {
		t.Errorf("db: %s, ports %v", diff, db.Spec.Ports)
	}
	dir := p.Directory
	for name, want := range map[string]string{
		"A": "/stead.yaml:7", "B": "/stead.override.yaml:5", "ONE": "/one.env:1", "BOTH": "/two.env:1", "STEAD_DB_URL": "stead",
	} {
		if got := strings.TrimPrefix(web.Origins[name], dir); got != want {
			t.Errorf("origin of %s: %q, want %q", name, got, want)
		}
	}
}

// TestOverrideFindings: they are where the mistake is.
func TestOverrideFindings(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, FileName, "services: {web: {command: web}}\n")
	write(t, dir, overrideName, "services:\n  web: {comand: x}\n  more: {ports: 1}\n")
	_, _, err := Load(Request{Directory: dir})
	want := "stead.override.yaml:2:9: unknown key \"comand\" in a service\nstead.override.yaml:3:3: service \"more\" has no command\n"
	if diff := cmp.Diff(want, told(err, dir)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := write(t, dir, "other.yaml", "services: {web: {command: web}}\n")
	if _, _, err := Load(Request{File: other}); err != nil {
		t.Errorf("a manifest that was named has the override of another: %v", err)
	}
}

// TestOriginsOfPassed: what is passed on says where its value is from.
func TestOriginsOfPassed(t *testing.T) {
	p, _, err := tree(t, `
-- stead.yaml --
services:
  web: {command: web, environment: [DOT, LOCAL, CALLER, "LIT=${DOT}"]}
-- .env --
DOT=1
LOCAL=1
CALLER=1
-- .env.local --

LOCAL=2
`, "CALLER=3")
	if err != nil {
		t.Fatal(err)
	}
	web := p.Services["web"]
	if diff := cmp.Diff(map[string]string{"DOT": "1", "LOCAL": "2", "CALLER": "3", "LIT": "1"}, web.Spec.Environment); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	want := map[string]string{"DOT": p.Directory + "/.env:1", "LOCAL": p.Directory + "/.env.local:2", "LIT": p.Directory + "/stead.yaml:2"}
	if diff := cmp.Diff(want, web.Origins); diff != "" {
		t.Errorf("origins (-want +got):\n%s", diff)
	}
}

// TestSources: a manifest is read again as it was, with env files as they are.
func TestSources(t *testing.T) {
	p, _, err := tree(t, `
-- stead.yaml --
include: [b.yaml]
services:
  web: {command: web, env_file: web.env}
-- b.yaml --
services: {db: {command: "db ${MODE}"}}
-- .env --
MODE=one
-- web.env --
A=1
`)
	if err != nil {
		t.Fatal(err)
	}
	dir := p.Directory
	write(t, dir, FileName, "not a manifest")
	write(t, dir, overrideName, "services: {web: {command: other}}")
	write(t, dir, ".env", "MODE=two\n")
	write(t, dir, "web.env", "A=2\n")
	again, _, err := Load(Request{File: p.File, Sources: p.Sources})
	if err != nil {
		t.Fatal(err)
	}
	if got := again.Services["db"].Spec.Command[1] + again.Services["web"].Spec.Environment["A"] + again.Services["web"].Spec.Command[0]; got != "two2web" {
		t.Errorf("read again: %s", got)
	}
}

// TestTakenPorts: a number that another project has is chosen as for auto.
func TestTakenPorts(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, FileName, "services:\n  web: {command: web, ports: {http: 9000, admin: 9001}}\n  api: {command: api, depends_on: [web]}\n")
	p, warnings, err := Load(Request{
		Directory: dir,
		AutoPort:  func(_, service, port string) (int, error) { return 20000, nil },
		Taken: func(_, service, port string, number int) string {
			if number == 9000 && service == "web" && port == "http" {
				return "9000 is that of shop-2/web"
			}
			return ""
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if ports := p.Services["web"].Spec.Ports; ports[0].Number != 20000 || ports[1].Number != 9001 {
		t.Errorf("ports %v", ports)
	}
	if diff := cmp.Diff(map[string]int{"http": 9000}, p.Services["web"].Taken); diff != "" {
		t.Errorf("taken (-want +got):\n%s", diff)
	}
	if got := p.Services["api"].Spec.Environment["STEAD_WEB_URL"]; got != "http://127.0.0.1:20000" {
		t.Errorf("STEAD_WEB_URL is %s", got)
	}
	if len(warnings) != 1 || warnings[0].Line != 2 || !strings.Contains(warnings[0].Text, "9000 is that of shop-2/web; it is 20000 instead") {
		t.Errorf("warnings %v", warnings)
	}
}

// TestPlainWordsAreWords compares the short way with the shell's parser.
func TestPlainWordsAreWords(t *testing.T) {
	d := newDocument(filepath.Join(t.TempDir(), FileName), "", Request{})
	for _, text := range []string{
		"a", "bin/web --level=info -p 80", " a\tb ", "A=b c", "a A=b", "if", "if a", "in", "for x", "done", "a do", "-x", "@a %b +c , :", "a/b:c=d", "=x", "",
	} {
		words, ok := plainWords(text)
		if !ok {
			continue
		}
		file, err := d.shell.Parse(strings.NewReader(text), "")
		if err != nil || len(file.Stmts) != 1 {
			t.Errorf("%q is %q, and to a shell %v", text, words, err)
			continue
		}
		call, simple := file.Stmts[0].Cmd.(*syntax.CallExpr)
		if !simple || len(call.Assigns) > 0 || len(call.Args) != len(words) {
			t.Errorf("%q is %q, and not to a shell", text, words)
		}
	}
}
