package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// reloader is a peer: how it is told to run a program, and to run it anew
// when its file is saved, everything else as it comes.
type reloader struct {
	name    string
	command func(path, dir string, p *program) ([]string, error)
}

// extension is that of the file that is saved.
func extension(p *program) string { return filepath.Ext(p.file) }

// reloaders are what make peers installs, as far as it is to be had.
var reloaders = []reloader{
	{"nodemon", func(path, _ string, p *program) ([]string, error) {
		// What it sends else, SIGUSR2, ends no Go program.
		return []string{path, "--signal", "SIGTERM", "--watch", p.file, "--ext", extension(p)[1:], "--exec", p.shell()}, nil
	}},
	{"entr", func(path, _ string, p *program) ([]string, error) {
		return []string{"sh", "-c", fmt.Sprintf("echo %s | exec %s -n -r -s '%s'", p.file, path, p.shell())}, nil
	}},
	{"pm2", func(path, dir string, p *program) ([]string, error) {
		text, err := json.Marshal(map[string]any{"apps": []any{map[string]any{
			"name": "web", "cwd": p.dir, "script": "/bin/sh", "args": []string{"-c", p.shell()}, "interpreter": "none", "watch": true,
		}}})
		if err != nil {
			return nil, err
		}
		conf := filepath.Join(dir, "ecosystem.config.json")
		return []string{path, "start", conf, "--no-daemon"}, os.WriteFile(conf, text, 0o600)
	}},
	{"wgo", func(path, _ string, p *program) ([]string, error) {
		args := []string{path, "-file", extension(p)}
		if p.build != nil {
			args = append(append(args, p.build...), "::")
		}
		return append(args, p.run...), nil
	}},
	{"reflex", func(path, _ string, p *program) ([]string, error) {
		return []string{path, "-r", `\` + extension(p) + "$", "-s", "--", "sh", "-c", p.shell()}, nil
	}},
	{"process-compose", func(path, dir string, p *program) ([]string, error) {
		conf := filepath.Join(dir, "process-compose.yaml")
		text := fmt.Sprintf("processes:\n  web:\n    working_dir: %q\n    command: %q\n    watch: {paths: [{path: %q}]}\n", p.dir, p.shell(), p.dir)
		return []string{path, "up", "-f", conf, "--tui=false", "--no-server"}, os.WriteFile(conf, []byte(text), 0o600)
	}},
	{"CompileDaemon", func(path, _ string, p *program) ([]string, error) {
		build := "true"
		if p.build != nil {
			build = strings.Join(p.build, " ")
		}
		return []string{path, "-pattern", `\` + extension(p) + "$", "-build", build, "-command", strings.Join(p.run, " ")}, nil
	}},
	{"air", func(path, dir string, p *program) ([]string, error) {
		build := "true"
		if p.build != nil {
			build = strings.Join(p.build, " ")
		}
		conf := filepath.Join(dir, "air.toml")
		text := fmt.Sprintf("[build]\ncmd = %q\nentrypoint = %s\ninclude_ext = [%q]\n", build, list(p.run), extension(p)[1:])
		return []string{path, "-c", conf}, os.WriteFile(conf, []byte(text), 0o600)
	}},
	{"watchexec", func(path, _ string, p *program) ([]string, error) {
		return []string{path, "-r", "--", "sh", "-c", p.shell()}, nil
	}},
}

// findPeer looks where make peers puts things, then in PATH.
func findPeer(o options, name string) (string, error) {
	for _, in := range []string{"", "npm/node_modules/.bin", "usr/bin", "usr/sbin"} {
		path := filepath.Join(o.bin, "peers", in, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return exec.LookPath(name)
}
