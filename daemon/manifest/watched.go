package manifest

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// runners run the file that they are given first.
var runners = regexp.MustCompile(`^(node|nodejs|bun|deno|tsx|ts-node|python[0-9.]*|ruby|php|perl|lua|luajit|Rscript|julia|elixir|dart|java|bash|sh|zsh|dash)$`)

// launchers run what they find in their working directory.
var launchers = []string{"go", "cargo", "npm", "pnpm", "yarn", "bun", "deno", "uv", "poetry", "uvicorn", "gunicorn", "hypercorn", "flask", "dotnet"}

// reloaders are words of a command that reloads itself: two of a kind would
// be in each other's way.
var reloaders = []string{"dev", "watch", "--watch", "--reload", "--hot", "--debug"}

// watched returns what is watched: what the manifest says, else what can be
// known from how the service is made. It is asked when one-shots are known.
//
// A save is to be seen without a word in the manifest wherever it is certain
// that the service is made of files of the project: when it has a build, when
// its command is a file of the project, and when that is run by what is known
// to run files (node server.js) or directories (go run). Nothing else is
// guessed: a database must not restart because a file beside it changed.
func (s *draft) watched() Watch {
	w := s.watch
	w.Dir = s.spec.Dir
	if s.build.command != nil {
		w.Dir = s.build.dir
	}
	if w.Mode == WatchAuto {
		w.Ignore = append(w.Ignore, s.data...)
	}
	if w.Mode != "" {
		return w
	}
	w.Mode = WatchNone
	if !s.plan.OneShot && len(s.spec.Command) > 0 {
		s.guess(&w)
	}
	return w
}

// guess is watched where the manifest says nothing.
func (s *draft) guess(w *Watch) {
	w.Ignore = append(w.Ignore, s.data...)
	words := s.words()
	file, inside := s.inProject(words[0])
	program := filepath.Base(words[0])
	switch {
	case inside:
		w.Mode = WatchAuto
		if s.build.command == nil { // else it is written by the build that is to follow a save
			w.Paths = []string{Literally(file) + "/**"}
		}
	case reloadsItself(program, words[1:]):
	case s.build.command != nil:
		w.Mode = WatchAuto
	case runners.MatchString(program):
		if file, ok := s.firstFile(words[1:]); ok {
			w.Mode, w.Paths = WatchAuto, []string{Literally(file) + "/**"}
			break
		}
		fallthrough
	case slices.Contains(launchers, program):
		if slices.Contains(launchers, program) && s.within(s.spec.Dir) {
			w.Mode = WatchAuto
		}
	}
}

// words are those of the command, and of a shell's text as far as it is words.
func (s *draft) words() []string {
	if f, ok := s.keys["shell"]; ok && f.value.Value == "true" && len(s.spec.Command) == 3 {
		if words := strings.Fields(s.spec.Command[2]); len(words) > 0 {
			return words
		}
	}
	return s.spec.Command
}

func reloadsItself(program string, args []string) bool {
	if !runners.MatchString(program) && !slices.Contains(launchers, program) {
		return false
	}
	return slices.ContainsFunc(args, func(word string) bool { return slices.Contains(reloaders, word) })
}

// inProject returns the file of a word that has a slash in it, when it lies in
// the project.
func (s *draft) inProject(word string) (string, bool) {
	if !strings.Contains(word, "/") {
		return "", false
	}
	if !filepath.IsAbs(word) {
		word = filepath.Join(s.spec.Dir, word)
	}
	word = filepath.Clean(word)
	return word, s.within(word)
}

// within reports whether a path is that of the project, or of the file that
// the service is from, or lies below.
func (s *draft) within(path string) bool {
	for _, directory := range []string{s.parts[0].directory, s.directory(s.at)} {
		if path == directory || strings.HasPrefix(path, strings.TrimSuffix(directory, "/")+"/") {
			return true
		}
	}
	return false
}

// maxWords is how many words of a command are looked for on the disk.
const maxWords = 20

// firstFile is the first of some words that is a file of the project.
func (s *draft) firstFile(words []string) (string, bool) {
	for _, word := range words[:min(len(words), maxWords)] {
		if strings.HasPrefix(word, "-") {
			continue
		}
		if !filepath.IsAbs(word) {
			word = "./" + word
		}
		if file, ok := s.inProject(word); ok {
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return file, true
			}
		}
	}
	return "", false
}
