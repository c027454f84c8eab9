package state

import (
	"encoding/json"
	"hash/fnv"
	"io"

	bolt "go.etcd.io/bbolt"
)

// totals is a sum over all records, kept up by every commit and checked when
// the file is read. bbolt has no checksums but for its two heads: without
// this, a flipped bit in a value, or a record that vanished from a damaged
// page, would pass for the truth.
//
// The sum does not depend on the order (a sum modulo 2^64 over the records'
// own sums), so that a change costs what it touches.
type totals struct {
	Records int
	Events  int // of these
	Sum     uint64
}

// fold adds a record n times, -1 takes it out.
func (t *totals) fold(n int, bucket string, key, value []byte) {
	t.Records += n
	if bucket == eventsBucket {
		t.Events += n
	}
	t.Sum += uint64(n) * recordSum(bucket, key, value)
}

// recordSum is FNV-1a over all that a record is. Its steps are bijections, so
// a single changed byte always gives another sum.
func recordSum(bucket string, key, value []byte) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, bucket)
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(key)
	_, _ = h.Write([]byte{0})
	_, _ = h.Write(value)
	return h.Sum64()
}

// counted reports whether a record is part of the totals.
func counted(bucket string, key []byte) bool {
	return bucket != metaBucket || string(key) != schemaKey && string(key) != totalsKey
}

// count returns the totals of what is there.
func count(tx *bolt.Tx) (totals, error) {
	var t totals
	err := tx.ForEach(func(name []byte, b *bolt.Bucket) error {
		return b.ForEach(func(k, v []byte) error {
			if counted(string(name), k) {
				t.fold(1, string(name), k, v)
			}
			return nil
		})
	})
	return t, err
}

// noted returns the totals as the last commit left them.
func noted(tx *bolt.Tx) (totals, error) {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		return totals{}, damaged("no bucket %s", metaBucket)
	}
	var t totals
	if err := json.Unmarshal(meta.Get([]byte(totalsKey)), &t); err != nil {
		return totals{}, damaged("totals: %v", err)
	}
	return t, nil
}

// verify compares what is there with what was noted.
func verify(tx *bolt.Tx) error {
	want, err := noted(tx)
	if err != nil {
		return err
	}
	have, err := count(tx)
	if err != nil {
		return err
	}
	switch {
	case have.Records != want.Records:
		return damaged("%d records where %d were written", have.Records, want.Records)
	case have != want:
		return damaged("the records are not those that were written: wrong sum")
	}
	return nil
}
