package state

import (
	"encoding/json"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/stead-dev/stead/runtime"
)

// The buckets. A key of services, specs and handles is made by nameKey and
// idKey, one of events is its sequence, big-endian; every value is JSON.
const (
	metaBucket     = "meta" // schema, totals, boot
	projectsBucket = "projects"
	servicesBucket = "services"
	specsBucket    = "specs"
	handlesBucket  = "handles"
	portsBucket    = "ports"
	eventsBucket   = "events"
)

// The keys of the meta bucket.
const (
	schemaKey = "schema"
	totalsKey = "totals"
	bootKey   = "boot"
	notedKey  = "noted"
)

// A migration takes a database from one schema to the next.
type migration func(tx *bolt.Tx) error

// migrations returns all there are: number i leads from schema i to i+1, and
// schema 0 is an empty file. A released one is never changed.
func migrations() []migration {
	return []migration{
		func(tx *bolt.Tx) error {
			for _, name := range []string{
				metaBucket, projectsBucket, servicesBucket, specsBucket, handlesBucket, portsBucket, eventsBucket,
			} {
				if _, err := tx.CreateBucket([]byte(name)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// schema is the value of schemaKey. Its form can never change: every version
// must be able to tell that a file is too new for it. It has a sum of its own
// because a flipped bit must not pass for a newer version.
type schema struct {
	Version int
	Sum     uint64
}

func schemaOf(version int) schema {
	return schema{version, recordSum(metaBucket, []byte(schemaKey), fmt.Append(nil, version))}
}

// schemaVersion returns the version of the database, 0 for an empty one.
func schemaVersion(tx *bolt.Tx) (int, error) {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return 0, damaged("no bucket %s", metaBucket)
		}
		return 0, nil
	}
	var s schema
	if err := json.Unmarshal(meta.Get([]byte(schemaKey)), &s); err != nil {
		return 0, damaged("schema version: %v", err)
	}
	if s != schemaOf(s.Version) || s.Version < 1 {
		return 0, damaged("schema version %d: wrong sum", s.Version)
	}
	return s.Version, nil
}

// upgrade brings the database to the newest schema in one transaction.
func upgrade(db *bolt.DB, path string, steps []migration) error {
	var version int
	err := db.View(func(tx *bolt.Tx) (err error) {
		version, err = schemaVersion(tx)
		return err
	})
	switch {
	case err != nil || version == len(steps):
		return err
	case version > len(steps):
		return runtime.WithHint(
			fmt.Errorf("%s has schema %d, this stead knows up to %d: %w", path, version, len(steps), runtime.Unsupported),
			"it was written by a newer stead: upgrade this one, or move the file away to begin afresh")
	}
	return db.Update(func(tx *bolt.Tx) error {
		if version > 0 { // the sums are made anew below, so damage must be found before
			if err := verify(tx); err != nil {
				return err
			}
		}
		for i, step := range steps[version:] {
			if err := step(tx); err != nil {
				return fmt.Errorf("migrate %s to schema %d: %w", path, version+i+1, err)
			}
		}
		if err := put(tx, metaBucket, []byte(schemaKey), schemaOf(len(steps))); err != nil {
			return err
		}
		sums, err := count(tx)
		if err != nil {
			return err
		}
		return put(tx, metaBucket, []byte(totalsKey), sums)
	})
}

// put writes value as JSON without counting it; see changes.put.
func put(tx *bolt.Tx, bucket string, key []byte, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return tx.Bucket([]byte(bucket)).Put(key, text)
}
