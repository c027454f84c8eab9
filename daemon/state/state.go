// Package state keeps on disk what the daemon must not forget: what users
// want, the generations there are with their specs and handles, and the
// newest transitions. Log lines never come here.
//
// The promises: a batch is there as a whole, and on the disk, once Commit has
// returned nil, and not at all after an error (but see Commit). One directory
// has one Store at a time on this machine. A damaged file is never trusted
// and never deleted: it is moved aside, and Open says so. Trouble with the
// disk (full, read-only, not ours) is an error and moves nothing.
//
// All methods may be called concurrently; commits happen one after another.
package state

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// The files in the directory of a Store.
const (
	lockName     = "stead.lock" // never renamed or removed: its flock is what makes one daemon
	databaseName = "stead.db"
)

// Store is an open state directory.
type Store struct {
	dir  string
	db   *bolt.DB
	lock *os.File

	mu     sync.Mutex
	loaded *Contents // what Open has read; nil once it was handed out or is out of date
}

// Recovery tells what Open had to give up. Zero: nothing.
type Recovery struct {
	Corrupt string // where a corrupt file was moved aside; empty: none
	Cause   string // what was wrong with it. Without Corrupt: the file is in use, but its newest change may be missing
}

// Contents is everything that a Store remembers, but for the events.
type Contents struct {
	Boot      string                     // boot id at the last commit
	Noted     Noted                      // as the caller left it
	Projects  map[string]json.RawMessage // by project ID; the value is the caller's
	Services  []supervisor.Service       // in the order of their names
	Specs     map[runtime.ID]runtime.Spec
	Handles   map[runtime.ID]runtime.Handle
	Ports     map[string]int // the key is the caller's
	LastEvent uint64         // sequence of the newest event, 0 when there is none
}

// Batch is a set of changes. A zero field changes nothing; a nil value in a
// map, or port 0, deletes.
type Batch struct {
	Boot     string
	Noted    Noted
	Projects map[string]json.RawMessage
	Services map[supervisor.Name]*supervisor.Service
	Specs    map[runtime.ID]*runtime.Spec
	Handles  map[runtime.ID]*runtime.Handle
	Ports    map[string]int
	Events   []Event
}

// Noted says up to where the exits that a runtime reports are among the events.
type Noted struct {
	Runtime  string // its nonce
	Sequence uint64
}

// Event is a transition. The newest 10,000 are kept.
type Event struct {
	Sequence   uint64 // from 1; a second event of the same number replaces the first
	Time       time.Time
	Project    string
	Service    string
	Generation uint64
	Instance   string
	Kind       string
	Text       string
}

// Open opens the state in dir, and makes both when they are not there.
//
// Another daemon's directory is a Conflict that names its pid; a file written
// by a newer stead is Unsupported and stays as it is; a disk that refuses is
// Unavailable. All have a hint.
func Open(dir string, log *slog.Logger) (*Store, Recovery, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, Recovery{}, refused("make state directory", dir, err)
	}
	lock, err := acquire(filepath.Join(dir, lockName))
	if err != nil {
		return nil, Recovery{}, err
	}
	db, contents, recovery, err := open(filepath.Join(dir, databaseName), log)
	if err != nil {
		release(lock)
		return nil, Recovery{}, err
	}
	return &Store{dir: dir, db: db, lock: lock, loaded: contents}, recovery, nil
}

// Load returns everything but the events. The caller owns the result.
func (s *Store) Load() (Contents, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded != nil {
		c := *s.loaded
		s.loaded = nil
		return c, nil
	}
	var c *Contents
	err := guard(func() error {
		return s.db.View(func(tx *bolt.Tx) (err error) {
			c, err = read(tx)
			return err
		})
	})
	if err != nil {
		return Contents{}, refused("load state", s.dir, err)
	}
	return *c, nil
}

// Events returns up to limit events with a sequence above after, oldest
// first; limit 0 or less means all.
func (s *Store) Events(after uint64, limit int) ([]Event, error) {
	var events []Event
	err := guard(func() error {
		return s.db.View(func(tx *bolt.Tx) (err error) {
			events, err = readEvents(tx, after, limit)
			return err
		})
	})
	if err != nil {
		return nil, refused("read events", s.dir, err)
	}
	return events, nil
}

// Close releases the directory for the next Store. It waits for calls that
// are under way; later ones fail.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lock == nil {
		return nil
	}
	err := s.db.Close()
	release(s.lock)
	s.lock = nil
	if err != nil {
		return fmt.Errorf("close state: %w", err)
	}
	return nil
}
