package plugin

import (
	"io"
	"os"
	"strings"
)

// lastLines returns the end of a log, at most ten lines, of what was written
// at or after from.
func lastLines(path string, from int64) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	from = max(from, end-8<<10)
	data, err := io.ReadAll(io.NewSectionReader(file, from, max(0, end-from)))
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n"), nil
}
