package watch

import (
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// hashLimit bounds what is read of a file to learn whether it changed; above
// it, size and mtime decide.
const hashLimit = 16 << 20

// seed makes sums of this process incomparable with those of another, which
// nobody does.
var seed = maphash.MakeSeed()

// stat is the baseline of a file's content.
type stat struct {
	size  int64
	mtime int64 // ns
	inode uint64
}

func statOf(info fs.FileInfo) stat {
	return stat{info.Size(), info.ModTime().UnixNano(), identify(info).inode}
}

// entry is a file of a node. There are 50,000 of them, so they are kept small:
// 64 bytes and the name.
type entry struct {
	name   string
	stat   stat
	sum    uint64
	summed bool
	linked bool // a symbolic link; stat is that of the target
	shared bool // the inode has other names
}

// fileID is what a rename keeps.
type fileID struct{ device, inode uint64 }

func identify(info fs.FileInfo) fileID {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return fileID{uint64(s.Dev), s.Ino}
	}
	return fileID{}
}

func names(info fs.FileInfo) uint64 {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(s.Nlink)
	}
	return 1
}

// look returns the entry of a path. It is absent when there is no regular file,
// also behind a link: nothing can be read from a FIFO or a device.
func look(path, name string) (e entry, info fs.FileInfo, ok bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return entry{}, nil, false
	}
	linked := info.Mode()&fs.ModeSymlink != 0
	if linked {
		if info, err = os.Stat(path); err != nil {
			return entry{linked: true}, nil, false
		}
	}
	e = entry{name: name, stat: statOf(info), linked: linked, shared: !linked && names(info) > 1}
	return e, info, info.Mode().IsRegular()
}

// digest reads a file. The stat is of what was read; not ok means that the
// content is not to be known.
func digest(path string, limit int64, buffer []byte) (sum uint64, read stat, ok bool) {
	// Should a FIFO have taken the file's place, opening it must not wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return 0, stat{}, false
	}
	defer f.Close()
	return digestFile(f, limit, buffer)
}

// digestFile looks at the file before and after reading it: the sum of what
// was written meanwhile must not be taken for that of what was there before,
// or the write would be seen as none.
func digestFile(f fs.File, limit int64, buffer []byte) (sum uint64, read stat, ok bool) {
	before, err := f.Stat()
	if err != nil || !before.Mode().IsRegular() || before.Size() > limit {
		return 0, stat{}, false
	}
	var hash maphash.Hash
	hash.SetSeed(seed)
	for {
		n, err := f.Read(buffer)
		_, _ = hash.Write(buffer[:n]) // never fails
		if err == io.EOF {
			break
		}
		if err != nil {
			return 0, stat{}, false
		}
	}
	read = statOf(before)
	after, err := f.Stat()
	return hash.Sum64(), read, err == nil && statOf(after) == read
}
