// Package logs keeps the output of services in segment files on disk.
//
// The log of a service is one sequence of raw bytes whose offsets only grow,
// across segments, retention and restarts of the process. It lives in
//
//	<dir>/<environment>/<project>/<service>/<first offset, 20 digits>.log
//
// which grep and tail read, beside an .idx with one entry per block that says
// when and by whom it was written. The index is derived: bytes without an
// entry (the process was killed before it wrote one) are read back with the
// file's time and StreamUnknown. Nothing is fsynced: a killed process loses
// nothing, a power cut may lose the newest bytes, which then read as a Gap.
//
// All methods may be called concurrently. A write never waits for a reader: a
// reader works on the files by itself, holds no queue, and gets a Gap for what
// retention took from under it. A write that fails is counted, and the next
// one that works is preceded by a Gap of that size. An idle service costs no
// buffer and, after a minute, no descriptor; nor does an idle follower.
//
// One directory belongs to one Store in one process.
package logs

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Options of a Store. The zero value of each field is its default.
type Options struct {
	SegmentSize int64            // bytes in one file; 16 MiB
	MaxBytes    int64            // of one service, with its index; 256 MiB. The newest segment always stays
	MaxAge      time.Duration    // of a segment's last byte; 7 days
	Log         *slog.Logger     // hears of writes that fail and work again; slog.Default
	Now         func() time.Time // time.Now
}

// Limits of SegmentSize: positions in the index have 32 bits.
const (
	minSegmentSize = 256
	maxSegmentSize = 1 << 30
)

func (o Options) withDefaults() Options {
	if o.SegmentSize <= 0 {
		o.SegmentSize = 16 << 20 // with 8 MiB, creating files takes 4 % of a busy service's time
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 256 << 20
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 7 * 24 * time.Hour
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	// At least four segments, or retention would take most of a log at once.
	o.SegmentSize = min(o.SegmentSize, o.MaxBytes/4)
	o.SegmentSize = min(max(o.SegmentSize, minSegmentSize), maxSegmentSize)
	return o
}

// Store is the logs of all services below one directory.
type Store struct {
	dir     string
	options Options
	sweeper *sweeper
	open    func(path string) (file, error) // openFile, but in tests of full disks

	mu     sync.Mutex
	logs   map[name]*slot
	closed bool
}

// slot counts who uses a log; without users it is dropped from memory.
type slot struct {
	log     *log
	writer  *Writer
	writers int
	readers int
	silent  bool // had a Writer, and may have no files that tell so
}

// Open returns the logs below dir. Nothing is created before it is needed.
func Open(dir string, o Options) *Store {
	o = o.withDefaults()
	return &Store{
		dir:     dir,
		options: o,
		sweeper: newSweeper(o.Log),
		open:    openFile,
		logs:    map[name]*slot{},
	}
}

// Writer returns the Writer of a service's log: the same one for everybody
// until each has closed it. A name that cannot be a directory gets a Writer
// that drops everything, and says so.
func (s *Store) Writer(environment, project, service string) *Writer {
	n := name{environment, project, service}
	s.mu.Lock()
	sl := s.slot(n)
	sl.writers++
	sl.silent = sl.log.invalid == nil
	s.mu.Unlock()
	return sl.writer
}

// Remove deletes the log of a service. Writers that are still open go on with
// a new segment.
func (s *Store) Remove(environment, project, service string) error {
	n := name{environment, project, service}
	if err := n.check(); err != nil {
		return fmt.Errorf("remove logs: %w", err)
	}
	l := s.acquireReader(n)
	defer s.releaseReader(l)
	if err := l.remove(); err != nil {
		return fmt.Errorf("remove logs of %s: %w", n, err)
	}
	s.mu.Lock()
	s.logs[n].silent = false
	s.mu.Unlock()
	// Once l is forgotten offsets begin at 0 again, and a file that is still
	// to be removed could have a new one's name.
	s.sweeper.settle()
	// Only empty ones go.
	_ = os.Remove(filepath.Dir(l.dir))
	_ = os.Remove(filepath.Dir(filepath.Dir(l.dir)))
	return nil
}

// Close writes what is buffered and closes all files. Reads that follow end
// with Unavailable; what is appended later is dropped.
func (s *Store) Close() error {
	s.mu.Lock()
	s.closed = true
	var all []*log
	for _, sl := range s.logs {
		all = append(all, sl.log)
	}
	s.mu.Unlock()
	var first error
	for _, l := range all {
		if err := l.close(); err != nil && first == nil {
			first = fmt.Errorf("close logs of %s: %w", l.name, err)
		}
	}
	s.sweeper.close() // last: logs hand it what it is to remove
	return first
}

// slot returns the slot of n; s.mu is held.
func (s *Store) slot(n name) *slot {
	sl := s.logs[n]
	if sl == nil {
		l := &log{store: s, name: n, dir: n.dir(s.dir), invalid: n.check(), closed: s.closed}
		sl = &slot{log: l, writer: &Writer{log: l}}
		s.logs[n] = sl
	}
	return sl
}

func (s *Store) acquireReader(n name) *log {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := s.slot(n)
	sl.readers++
	return sl.log
}

func (s *Store) releaseReader(l *log) {
	s.mu.Lock()
	s.logs[l.name].readers--
	s.mu.Unlock()
	s.drop(l)
}

func (s *Store) releaseWriter(l *log) {
	s.mu.Lock()
	sl := s.logs[l.name]
	if sl == nil || sl.log != l || sl.writers == 0 {
		s.mu.Unlock()
		return // closed once too often
	}
	sl.writers--
	idle := sl.writers == 0
	s.mu.Unlock()
	if idle {
		l.park()
	}
	s.drop(l)
}

// drop forgets l when nobody uses it. A user who came and went since l was
// parked has parked it again, or is about to and will then drop it itself. One
// that never wrote stays: a directory to know it by would cost each start a
// fifth of what a fork does.
func (s *Store) drop(l *log) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := s.logs[l.name]
	if sl == nil || sl.log != l || sl.writers > 0 || sl.readers > 0 || !l.parked() {
		return
	}
	if sl.silent = sl.silent && !exists(l.dir); !sl.silent {
		delete(s.logs, l.name)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// known reports whether l's service was ever heard of.
func (s *Store) known(l *log) bool {
	s.mu.Lock()
	sl := s.logs[l.name]
	heard := sl.silent || sl.writers > 0
	s.mu.Unlock()
	return heard || exists(l.dir)
}

// name is what a log belongs to, and its directory.
type name struct{ environment, project, service string }

func (n name) String() string { return n.environment + "/" + n.project + "/" + n.service }

func (n name) dir(root string) string {
	return filepath.Join(root, n.environment, n.project, n.service)
}

// check refuses names that would leave the Store's directory. Everything else
// about names is the caller's business.
func (n name) check() error {
	for _, part := range []string{n.environment, n.project, n.service} {
		if part == "" || part == "." || part == ".." || strings.ContainsAny(part, "/\\\x00") {
			return fmt.Errorf("%q cannot be part of a path: %w", part, runtime.Invalid)
		}
	}
	return nil
}
