package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/stead-dev/stead/runtime"
)

// keptEvents is how many transitions are kept: some days of a busy laptop in
// about 3 MB.
const keptEvents = 10_000

// Commit writes the batch in one transaction and returns when it is on the
// disk. A batch that changes nothing costs no write. After an error nothing
// of the batch is there and the Store goes on working; the one exception is
// a disk whose flush fails (EIO), where the batch may or may not be there:
// the same batch may be committed again.
//
// A full or read-only disk is Unavailable with a hint; a batch that can never
// be stored is Invalid.
func (s *Store) Commit(b Batch) error {
	s.mu.Lock()
	s.loaded = nil
	s.mu.Unlock()
	err := guard(func() error { return commit(s.db, b) })
	if err != nil {
		return refused("commit state", s.dir, err)
	}
	return nil
}

func commit(db *bolt.DB, b Batch) error {
	tx, err := db.Begin(true)
	if err != nil {
		return err
	}
	defer tx.Rollback() // an error when it was committed, which is the point of it
	sums, err := noted(tx)
	if err != nil {
		return err
	}
	c := changes{tx: tx, totals: sums}
	if err := c.apply(b); err != nil {
		return err
	}
	if !c.any {
		return nil
	}
	if err := c.trim(); err != nil {
		return err
	}
	if err := put(tx, metaBucket, []byte(totalsKey), c.totals); err != nil {
		return err
	}
	return tx.Commit()
}

// changes is a transaction that keeps the totals.
type changes struct {
	tx     *bolt.Tx
	totals totals
	any    bool
}

func (c *changes) apply(b Batch) error {
	if b.Boot != "" {
		if err := c.put(metaBucket, []byte(bootKey), b.Boot); err != nil {
			return err
		}
	}
	if b.Noted != (Noted{}) {
		if err := c.put(metaBucket, []byte(notedKey), b.Noted); err != nil {
			return err
		}
	}
	if err := putAll(c, projectsBucket, stringKey, b.Projects, func(v json.RawMessage) bool { return v == nil }); err != nil {
		return err
	}
	if err := putAll(c, servicesBucket, nameKey, b.Services, isNil); err != nil {
		return err
	}
	if err := putAll(c, specsBucket, idKey, b.Specs, isNil); err != nil {
		return err
	}
	if err := putAll(c, handlesBucket, idKey, b.Handles, isNil); err != nil {
		return err
	}
	if err := putAll(c, portsBucket, stringKey, b.Ports, func(port int) bool { return port == 0 }); err != nil {
		return err
	}
	for _, e := range b.Events {
		if e.Sequence == 0 {
			return fmt.Errorf("event %q has no sequence: %w", e.Text, runtime.Invalid)
		}
		if err := c.put(eventsBucket, eventKey(e.Sequence), e); err != nil {
			return err
		}
	}
	return nil
}

func isNil[T any](v *T) bool { return v == nil }

func putAll[K comparable, V any](c *changes, bucket string, keyOf func(K) ([]byte, error), values map[K]V, gone func(V) bool) error {
	for k, v := range values {
		key, err := keyOf(k)
		if err != nil {
			return fmt.Errorf("%s: %w", bucket, err)
		}
		if gone(v) {
			err = c.delete(bucket, key)
		} else {
			err = c.put(bucket, key, v)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *changes) put(bucket string, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("%s %q: %v: %w", bucket, key, err, runtime.Invalid)
	}
	b := c.tx.Bucket([]byte(bucket))
	old := b.Get(key)
	if bytes.Equal(old, text) {
		return nil
	}
	if old != nil {
		c.totals.fold(-1, bucket, key, old)
	}
	c.totals.fold(1, bucket, key, text)
	c.any = true
	return b.Put(key, text)
}

func (c *changes) delete(bucket string, key []byte) error {
	b := c.tx.Bucket([]byte(bucket))
	old := b.Get(key)
	if old == nil {
		return nil
	}
	c.totals.fold(-1, bucket, key, old)
	c.any = true
	return b.Delete(key)
}

// trim drops the oldest events above keptEvents.
func (c *changes) trim() error {
	if c.totals.Events <= keptEvents {
		return nil
	}
	var old [][]byte // collected first: a cursor is not to be trusted after a delete
	cursor := c.tx.Bucket([]byte(eventsBucket)).Cursor()
	for k, _ := cursor.First(); k != nil && c.totals.Events-len(old) > keptEvents; k, _ = cursor.Next() {
		old = append(old, bytes.Clone(k))
	}
	for _, k := range old {
		if err := c.delete(eventsBucket, k); err != nil {
			return err
		}
	}
	return nil
}

func stringKey(s string) ([]byte, error) { return joined(s) }

// joined makes a key of parts, and refuses what could not be told apart again.
func joined(parts ...string) ([]byte, error) {
	key := strings.Join(parts, separator)
	if strings.Count(key, separator) != len(parts)-1 {
		return nil, fmt.Errorf("name %q with a NUL byte: %w", key, runtime.Invalid)
	}
	if key == "" || len(key) > bolt.MaxKeySize-16 {
		return nil, fmt.Errorf("name of %d bytes: %w", len(key), runtime.Invalid)
	}
	return []byte(key), nil
}
