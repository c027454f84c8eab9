package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
)

// A source is a file, or a kind of file, that tells what a project runs.
type source struct {
	name     string // "Procfile"
	explicit bool   // it was written to say what runs; others are what could
	services []proposed
}

// A proposed service is the text of one, line by line.
type proposed struct {
	name  string
	notes []string // comments above it
	lines []string // below its name, indented from there on
	off   string   // why it is commented out, empty: it is not
}

// Propose writes a manifest for a directory without one, from the Procfile,
// compose file, main packages of Go and package.json in it. Everything is
// named with where it is from, and what cannot be known is said in a comment:
// it is for its reader to correct. found has a line for each source; without
// one the text is empty. Only dir is read, nothing is run.
func Propose(dir string) (text string, found []string) {
	var out strings.Builder
	fmt.Fprintf(&out, "# What stead found in %s. Correct it, and see what stead check says.\nname: %s\nservices:\n", oneLine(filepath.Base(dir)), nameOf(dir))
	taken, decided := map[string]bool{}, ""
	for _, read := range []func(string) source{proposeProcfile, proposeCompose, proposeGo, proposeNode} {
		s := read(dir)
		if len(s.services) == 0 {
			continue
		}
		var names []string
		fmt.Fprintf(&out, "\n  # From %s.\n", s.name)
		for _, one := range s.services {
			names = append(names, one.name)
			if decided != "" && one.off == "" {
				one.off = "left out, as " + decided + " says what runs"
			}
			if taken[one.name] && one.off == "" {
				one.off = "another service has this name"
			}
			if one.off == "" {
				taken[one.name] = true
			}
			one.write(&out)
		}
		found = append(found, s.name+": "+strings.Join(names, ", "))
		if decided == "" && s.explicit && len(taken) > 0 {
			decided = s.name
		}
	}
	if len(found) == 0 {
		return "", nil
	}
	return out.String(), found
}

func (p proposed) write(out *strings.Builder) {
	indent, notes := "  ", p.notes
	if p.off != "" {
		indent, notes = "  # ", append([]string{p.name + ": " + p.off}, notes...)
	}
	for _, note := range notes {
		out.WriteString("  # " + oneLine(note) + "\n")
	}
	if p.off != "" && len(p.lines) == 0 {
		return
	}
	out.WriteString(indent + p.name + ":\n")
	for _, line := range p.lines {
		out.WriteString(indent + "  " + line + "\n")
	}
}

var variables = regexp.MustCompile(`\$(\{[^}]*\}|[A-Za-z_][A-Za-z0-9_]*)`)

// command are the lines of a command that is text as a manifest has it: $$ is
// a dollar sign, which only a shell can make something of.
func command(text string) []string {
	lines := []string{"command: " + scalar(text)}
	replaced := variables.ReplaceAllString(strings.ReplaceAll(text, "$$", "\x00"), "x")
	d := newDocument(FileName, "", Request{})
	if words, err := d.split(strings.ReplaceAll(replaced, "\x00", "$")); err != nil || len(words) == 0 {
		lines = append(lines, "shell: true")
	}
	return lines
}

// plainScalar is what YAML takes for a text without quotes, whatever stands
// around it.
var plainScalar = regexp.MustCompile(`^[A-Za-z./_][A-Za-z0-9 ./_=@+-]*$`)

// scalar writes a text as YAML: JSON's strings are some of YAML's.
func scalar(text string) string {
	if plainScalar.MatchString(text) && strings.TrimSpace(text) == text && !strings.EqualFold(text, "null") {
		return text
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		return `""`
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// oneLine is a text that cannot end a comment.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
