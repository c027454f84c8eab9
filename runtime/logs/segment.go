package logs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// segment is one file of a log, and its index.
type segment struct {
	first    int64     // offset of its first byte, and its name
	end      int64     // offset after its last byte
	index    int64     // bytes of index
	modified time.Time // of its last byte
}

// size returns how much of the disk it takes.
func (sg segment) size() int64 { return sg.end - sg.first + sg.index }

const (
	dataSuffix  = ".log"
	indexSuffix = ".idx"
)

// base returns the path of the segment that begins at first, without suffix.
func base(dir string, first int64) string {
	return filepath.Join(dir, fmt.Sprintf("%020d", first))
}

// file is what a log writes to.
type file interface {
	io.WriterAt
	io.Closer
	Truncate(size int64) error
}

func openFile(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	}
	if err != nil {
		return nil, err // a nil *os.File would be a file
	}
	return f, nil
}

// listSegments returns the segments in dir, oldest first; none when there is
// no such directory.
func listSegments(dir string) ([]segment, error) {
	files, err := os.ReadDir(dir) // sorted, and so are 20 digits
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var list []segment
	for _, f := range files {
		digits, ok := strings.CutSuffix(f.Name(), dataSuffix)
		first, err := strconv.ParseInt(digits, 10, 64)
		if !ok || err != nil || len(digits) != 20 || first < 0 {
			continue
		}
		info, err := f.Info()
		if err != nil {
			continue // gone since
		}
		sg := segment{first: first, end: first + info.Size(), modified: info.ModTime()}
		if x, err := os.Stat(base(dir, first) + indexSuffix); err == nil {
			sg.index = x.Size()
		}
		if n := len(list); n > 0 && list[n-1].end > first {
			list[n-1].end = first // written to by somebody else: what it says twice is told once
		}
		list = append(list, sg)
	}
	return list, nil
}

// expired returns how many of the oldest segments are to go, so that the rest
// have room and were written to since then.
func expired(list []segment, room int64, then time.Time) int {
	for i := len(list) - 1; i >= 0; i-- {
		room -= list[i].size()
		if room < 0 || list[i].modified.Before(then) {
			return i + 1
		}
	}
	return 0
}

// removeSegment deletes the index first: data without one can still be read
// and is found again, the reverse is litter.
func removeSegment(path string) error {
	err := os.Remove(path + indexSuffix)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = os.Remove(path + dataSuffix)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
