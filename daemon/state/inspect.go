package state

import (
	"encoding/binary"
	"errors"
	"hash/fnv"
	"io"
	"os"
)

// The file format of bbolt (go.etcd.io/bbolt/internal/common, unchanged since
// 2014), in the machine's byte order: pages of one size; 0 and 1 are the two
// heads, written in turns by each commit; the rest is a B+ tree.
const (
	pageHeader  = 16 // id u64, flags u16, count u16, overflow u32
	elementSize = 16 // of a leaf: flags, pos, ksize, vsize u32; of a branch: pos, ksize u32, page u64
	headSize    = 64 // magic, version, page size, flags u32; root, root sequence, free list, high water, transaction, checksum u64

	branchPage = 0x01
	leafPage   = 0x02

	bucketElement = 0x01
	bucketHeader  = 16 // root page u64 (0: the page follows), sequence u64

	headMagic   = 0xED0CDAED
	headVersion = 2
	noFreelist  = 1<<64 - 1
)

// shape is what inspect has found.
type shape struct {
	pageSize int
	pages    uint64 // below the high water mark
	used     uint64 // of these
	warning  string // what is wrong with a file that can be used
}

// wasteful reports whether the file is worth compacting: over 1 MiB of it, and
// over half, is free.
func (s shape) wasteful() bool {
	free := s.pages - s.used
	return free > s.used && free*uint64(s.pageSize) > 1<<20
}

// inspect reads the file by plain reads and returns damage when bbolt could
// not read it safely. bbolt itself cannot be asked: a page that is not what
// it expects makes it panic in a goroutine of its own, recurse without end,
// or touch memory beyond the file, and none of these can be recovered from.
func inspect(path string) (shape, error) {
	f, err := os.Open(path)
	if err != nil {
		return shape{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return shape{}, err
	}
	h, warning, err := newestHead(f, info.Size())
	if err != nil {
		return shape{}, err
	}
	if h.pages > uint64(info.Size())/uint64(h.pageSize) {
		return shape{}, damaged("the file ends at %d bytes, before its last page", info.Size())
	}
	if h.freelist != noFreelist {
		return shape{}, damaged("the file was written with another setting or not to its end")
	}
	w := &walker{file: f, head: h, seen: make([]bool, h.pages)}
	if err := w.root(); err != nil {
		return shape{}, err
	}
	return shape{pageSize: h.pageSize, pages: h.pages, used: w.used + 2, warning: warning}, nil
}

// head is what a commit writes last.
type head struct {
	pageSize              int
	root, freelist, pages uint64
	transaction           uint64
}

// newestHead returns the head that bbolt would use. One that is damaged was
// either the older one, or that of the newest commit (a power cut while it was
// written, before Commit returned); nobody can tell, so it is worth a warning.
func newestHead(f io.ReaderAt, size int64) (head, string, error) {
	first, ok := readHead(f, 0)
	if ok {
		second, ok := readHead(f, int64(first.pageSize))
		switch {
		case !ok || second.pageSize != first.pageSize:
			return first, "the second head of the file is damaged", nil
		case second.transaction > first.transaction:
			return second, "", nil
		}
		return first, "", nil
	}
	for at := int64(1024); at <= 1024<<14 && at < size; at *= 2 { // the sizes that bbolt tries
		if second, ok := readHead(f, at); ok && int64(second.pageSize) == at {
			return second, "the first head of the file is damaged", nil
		}
	}
	if err := readable(f); err != nil {
		return head{}, "", err
	}
	return head{}, "", damaged("both heads of the file are damaged")
}

// readable tells a disk that cannot be read from a file that makes no sense.
func readable(f io.ReaderAt) error {
	if _, err := f.ReadAt(make([]byte, 1), 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

func readHead(f io.ReaderAt, at int64) (head, bool) {
	b := make([]byte, pageHeader+headSize)
	if _, err := f.ReadAt(b, at); err != nil {
		return head{}, false
	}
	b = b[pageHeader:]
	order := binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:headSize-8])
	if order.Uint32(b) != headMagic || order.Uint32(b[4:]) != headVersion || order.Uint64(b[56:]) != sum.Sum64() {
		return head{}, false
	}
	h := head{
		pageSize:    int(order.Uint32(b[8:])),
		root:        order.Uint64(b[16:]),
		freelist:    order.Uint64(b[32:]),
		pages:       order.Uint64(b[40:]),
		transaction: order.Uint64(b[48:]),
	}
	return h, h.pageSize >= 1024 && h.pageSize&(h.pageSize-1) == 0
}
