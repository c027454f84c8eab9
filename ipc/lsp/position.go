package lsp

import (
	"bufio"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/stead-dev/stead/ipc/steadpb"
)

// Bounds of reading a file for its lines: what is beyond is no source that
// somebody edits.
const (
	sourceLimit = 8 << 20
	sourceLines = 200_000
)

// sources are the lines of files, read once for each publication: the next
// may be about a file that has changed.
type sources map[string][]string

// line returns a line counted from 1.
func (s sources) line(file string, n int) (string, bool) {
	lines, ok := s[file]
	if !ok {
		lines = readLines(file)
		s[file] = lines
	}
	if n < 1 || n > len(lines) {
		return "", false
	}
	return lines[n-1], true
}

func readLines(path string) []string {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a named pipe would be waited for
		return nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }() // was only read
	var lines []string
	scanner := bufio.NewScanner(io.LimitReader(file, sourceLimit))
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() && len(lines) < sourceLines {
		lines = append(lines, scanner.Text())
	}
	return lines
}

// rangeOf says which text a diagnostic is about: what the tool says, else the
// word at its column, else the line.
func rangeOf(d *steadpb.Diagnostic, texts sources) span {
	number := max(int(d.GetLine()), 1)
	line, ok := texts.line(d.GetFile(), number)
	if !ok {
		line = d.GetSource()
	}
	begin, end := offsets(line, int(d.GetColumn()))
	out := span{position{number - 1, units(line, begin)}, position{number - 1, units(line, end)}}
	if d.GetEndColumn() == 0 {
		return out
	}
	last, ok := texts.line(d.GetFile(), int(d.GetEndLine()))
	to := position{max(int(d.GetEndLine()), number) - 1, int(d.GetEndColumn()) - 1}
	if ok {
		to.Character = units(last, to.Character)
	}
	if to.Line > out.Start.Line || to.Character > out.Start.Character {
		out.End = to
	}
	return out
}

// offsets returns the bytes of a line that a column (from 1; 0: none) means.
func offsets(line string, column int) (begin, end int) {
	if column == 0 {
		text := strings.TrimSpace(line)
		begin = strings.Index(line, text)
		return begin, begin + len(text)
	}
	begin = min(column-1, len(line))
	for begin > 0 && begin < len(line) && !utf8.RuneStart(line[begin]) {
		begin-- // the column is in the middle of a character
	}
	for end = begin; end < len(line); {
		r, size := utf8.DecodeRuneInString(line[end:])
		if r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			if end == begin {
				end += size
			}
			break
		}
		end += size
	}
	return begin, end
}

// units returns how many UTF-16 code units the first so many bytes of a line
// are; beyond its end there are none.
func units(line string, bytes int) int {
	n := 0
	for _, r := range line[:min(max(bytes, 0), len(line))] {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
