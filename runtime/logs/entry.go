package logs

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// entry says of a run of bytes when and by whom it was written.
type entry struct {
	offset     int64 // position in the service's log
	size       int64 // 0: only a gap
	time       int64 // nanoseconds since 1970
	gap        int64 // bytes that were lost before it
	generation uint64
	replica    int
	attempt    int
	origin     int // whose: 0 the service itself, else one more than the index in origins
	stream     runtime.Stream
}

func (e entry) end() int64 { return e.offset + e.size }

// joins reports whether e, which follows p, can share p's entry. An entry that
// readers may have taken for complete (a bare gap) never grows.
func (e entry) joins(p entry) bool {
	age := time.Duration(e.time - p.time)
	return e.gap == 0 && p.size > 0 && p.end() == e.offset &&
		age >= 0 && age < shareFor &&
		e.stream == p.stream && e.generation == p.generation &&
		e.replica == p.replica && e.attempt == p.attempt && e.origin == p.origin
}

// shareFor is as long as a block may wait for its line's end, so that the
// error of times stays where it is anyway.
const shareFor = holdFor

// On disk an entry is 48 bytes, little endian:
//
//	 0 u32 position in the segment   32 u32 replica
//	 4 u32 size                      36 u32 attempt
//	 8 i64 time                      40 u16 origin
//	16 u64 generation                42 u8  stream
//	24 u64 gap                       43 u8  version
//	                                 44 u32 CRC-32C of the bytes before
//
// One size for all makes a torn tail visible and a position a multiplication.
const (
	entrySize    = 48
	entryVersion = 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode appends e, of a segment that begins at first, to b.
func (e entry) encode(b []byte, first int64) []byte {
	at := len(b)
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(e.offset-first))
	b = le.AppendUint32(b, uint32(e.size))
	b = le.AppendUint64(b, uint64(e.time))
	b = le.AppendUint64(b, e.generation)
	b = le.AppendUint64(b, uint64(e.gap))
	b = le.AppendUint32(b, uint32(e.replica))
	b = le.AppendUint32(b, uint32(e.attempt))
	b = le.AppendUint16(b, uint16(e.origin))
	b = append(b, byte(e.stream), entryVersion)
	return le.AppendUint32(b, crc32.Checksum(b[at:], castagnoli))
}

// decode reads the entry at the start of b, of a segment that begins at
// first. It is false for what encode did not write.
func decode(b []byte, first int64) (entry, bool) {
	if len(b) < entrySize || b[43] != entryVersion {
		return entry{}, false
	}
	le := binary.LittleEndian
	if crc32.Checksum(b[:44], castagnoli) != le.Uint32(b[44:]) {
		return entry{}, false
	}
	e := entry{
		offset:     first + int64(le.Uint32(b)),
		size:       int64(le.Uint32(b[4:])),
		time:       int64(le.Uint64(b[8:])),
		generation: le.Uint64(b[16:]),
		gap:        int64(le.Uint64(b[24:])),
		replica:    int(le.Uint32(b[32:])),
		attempt:    int(le.Uint32(b[36:])),
		origin:     int(le.Uint16(b[40:])),
		stream:     runtime.Stream(b[42]),
	}
	return e, e.gap >= 0 && e.offset >= first && e.end() >= e.offset && e.end() < math.MaxInt64
}

// complete returns the entries at the start of an index that are whole and in
// order, and the offset up to which they describe the segment.
func complete(index []byte, first int64) (n int, covered int64) {
	covered = first
	for ; len(index) >= entrySize; index = index[entrySize:] {
		e, ok := decode(index, first)
		if !ok || e.offset < covered {
			break
		}
		covered = e.end()
		n++
	}
	return n, covered
}
