package state

import (
	"bytes"
	"encoding/binary"
	"io"
)

// maxDepth is far more than a tree of 2^32 pages needs; it bounds the walk.
const maxDepth = 64

// walker goes through every page that the root leads to, and finds whatever
// bbolt would stumble over.
type walker struct {
	file io.ReaderAt
	head head
	seen []bool // by page
	used uint64
}

func (w *walker) root() error {
	return w.page(w.head.root, limits{}, 0, w.buckets)
}

// limits are the keys a page may hold: from, inclusive, to, exclusive. A nil
// one does not limit.
type limits struct{ from, to []byte }

// A leaf is called with each element of a leaf page.
type leaf func(flags uint32, key, value []byte) error

// buckets is the leaf of the root: nothing but buckets.
func (w *walker) buckets(flags uint32, key, value []byte) error {
	if flags != bucketElement || len(value) < bucketHeader {
		return damaged("%q is no bucket", key)
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.page(root, limits{}, 0, record)
	}
	inline := value[bucketHeader:]
	if len(inline) < pageHeader || binary.NativeEndian.Uint16(inline[8:]) != leafPage {
		return damaged("bucket %q has no page", key)
	}
	return elements(inline, leafPage, limits{}, func(_ int, e []byte, key, value []byte, _ limits) error {
		return record(binary.NativeEndian.Uint32(e), key, value)
	})
}

// record is the leaf of a bucket: no buckets within buckets.
func record(flags uint32, key, _ []byte) error {
	if flags != 0 {
		return damaged("record %q has flags %#x", key, flags)
	}
	return nil
}

// page checks one page and all below it.
func (w *walker) page(id uint64, within limits, depth int, fn leaf) error {
	if depth > maxDepth {
		return damaged("page %d: the tree is too deep", id)
	}
	text, err := w.read(id)
	if err != nil {
		return err
	}
	kind := binary.NativeEndian.Uint16(text[8:])
	switch kind {
	case leafPage:
		return elements(text, kind, within, func(_ int, e, key, value []byte, _ limits) error {
			return fn(binary.NativeEndian.Uint32(e), key, value)
		})
	case branchPage:
		if binary.NativeEndian.Uint16(text[10:]) == 0 {
			return damaged("page %d: a branch without leaves", id)
		}
		return elements(text, kind, within, func(_ int, e, _, _ []byte, child limits) error {
			return w.page(binary.NativeEndian.Uint64(e[8:]), child, depth+1, fn)
		})
	}
	return damaged("page %d is of unknown kind %#x", id, kind)
}

// read returns the page with its overflow, and marks it as seen.
func (w *walker) read(id uint64) ([]byte, error) {
	if id < 2 || id >= w.head.pages {
		return nil, damaged("page %d is not one of the %d there are", id, w.head.pages)
	}
	size := uint64(w.head.pageSize)
	text := make([]byte, size)
	if err := w.readAt(text, id*size); err != nil {
		return nil, err
	}
	if self := binary.NativeEndian.Uint64(text); self != id {
		return nil, damaged("page %d says it is page %d", id, self)
	}
	more := uint64(binary.NativeEndian.Uint32(text[12:]))
	if more >= w.head.pages-id {
		return nil, damaged("page %d goes on beyond the end", id)
	}
	for i := id; i <= id+more; i++ {
		if w.seen[i] {
			return nil, damaged("page %d is used twice", i)
		}
		w.seen[i] = true
		w.used++
	}
	if more == 0 {
		return text, nil
	}
	text = append(text, make([]byte, more*size)...)
	return text, w.readAt(text[size:], (id+1)*size)
}

func (w *walker) readAt(b []byte, at uint64) error {
	_, err := w.file.ReadAt(b, int64(at))
	if err == io.EOF {
		return damaged("the file was cut while it was read")
	}
	return err
}

// elements calls fn with each element of a page, its key and value, and (on a
// branch) the limits of the page it leads to.
func elements(page []byte, kind uint16, within limits, fn func(i int, e, key, value []byte, child limits) error) error {
	count := int(binary.NativeEndian.Uint16(page[10:]))
	if pageHeader+count*elementSize > len(page) {
		return damaged("a page has more elements than it can hold")
	}
	previous := within.from
	for i := range count {
		e, key, value, err := element(page, kind, i)
		if err != nil {
			return err
		}
		// The first key may equal the lower limit, later ones must rise.
		if order := bytes.Compare(previous, key); previous != nil && (order > 0 || order == 0 && i > 0) {
			return damaged("key %q is out of order", key)
		}
		if within.to != nil && bytes.Compare(key, within.to) >= 0 {
			return damaged("key %q is on the wrong page", key)
		}
		child := limits{key, within.to}
		if kind == branchPage && i+1 < count {
			if _, child.to, _, err = element(page, kind, i+1); err != nil {
				return err
			}
		}
		if err := fn(i, e, key, value, child); err != nil {
			return err
		}
		previous = key
	}
	return nil
}

// element returns one element with its key and (on a leaf) its value.
func element(page []byte, kind uint16, i int) (e, key, value []byte, err error) {
	at := pageHeader + i*elementSize
	e = page[at : at+elementSize]
	u32 := func(n int) uint64 { return uint64(binary.NativeEndian.Uint32(e[n:])) }
	var pos, ksize, vsize uint64
	if kind == leafPage {
		pos, ksize, vsize = u32(4), u32(8), u32(12)
	} else {
		pos, ksize = u32(0), u32(4)
	}
	begin := uint64(at) + pos
	if pos < elementSize || ksize == 0 || begin+ksize+vsize > uint64(len(page)) {
		return nil, nil, nil, damaged("an element reaches out of its page")
	}
	return e, page[begin : begin+ksize], page[begin+ksize : begin+ksize+vsize], nil
}
