package state

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// lockTimeout is how long bbolt waits for its own lock on the file; 0 would
// be for ever. Nobody but a tool run by hand can hold it, as we hold ours.
const lockTimeout = time.Second

// openDatabase opens the file at path as it is. NoFreelistSync: the list of
// free pages is made again from the tree at each open, cheap for a file of
// this size, so a commit has less to write and there is less to be damaged.
func openDatabase(path string) (*bolt.DB, error) {
	return bolt.Open(path, 0o600, &bolt.Options{
		Timeout:        lockTimeout,
		FreelistType:   bolt.FreelistMapType, // the default degrades with size
		NoFreelistSync: true,
		NoStatistics:   true,
	})
}

// open returns the database at path, checked and of the newest schema, and
// what it holds. A damaged file makes way for a fresh one.
func open(path string, log *slog.Logger) (*bolt.DB, *Contents, Recovery, error) {
	dir := filepath.Dir(path)
	if err := clean(path); err != nil {
		return nil, nil, Recovery{}, refused("open state", dir, err)
	}
	db, contents, warning, err := openChecked(path, log)
	if err == nil {
		return db, contents, Recovery{Cause: warning}, nil
	}
	var broken *damage
	if !errors.As(err, &broken) {
		return nil, nil, Recovery{}, refused("open state", dir, err)
	}
	aside, moveErr := moveAside(path, time.Now())
	if moveErr != nil {
		return nil, nil, Recovery{}, refused("move damaged "+path+" aside", dir, moveErr)
	}
	db, contents, _, err = openChecked(path, log)
	if err != nil {
		return nil, nil, Recovery{}, refused("open fresh state", dir, err)
	}
	return db, contents, Recovery{Corrupt: aside, Cause: broken.text}, nil
}

// openChecked opens the file at path and reads it; all that can be wrong with
// what is in it comes as damage. The warning is Recovery.Cause of a file that
// is in use.
func openChecked(path string, log *slog.Logger) (db *bolt.DB, c *Contents, warning string, err error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := create(path); err != nil {
			return nil, nil, "", err
		}
	}
	shape, err := inspect(path)
	if err != nil {
		return nil, nil, "", err
	}
	err = guard(func() (err error) {
		db, c, err = load(path)
		return err
	})
	if err != nil {
		return nil, nil, "", err
	}
	if shape.wasteful() {
		if db, err = compact(db, path, log); err != nil {
			return nil, nil, "", err
		}
	}
	return db, c, shape.warning, nil
}

// load opens a file that inspect has found sound.
func load(path string) (*bolt.DB, *Contents, error) {
	db, err := openDatabase(path)
	for _, unsound := range []error{bolterrors.ErrInvalid, bolterrors.ErrVersionMismatch, bolterrors.ErrChecksum} {
		if errors.Is(err, unsound) { // inspect missed it, or the file has changed since
			return nil, nil, damaged("%v", err)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	var c *Contents
	defer func() {
		if c == nil { // also on the way of a panic
			_ = db.Close()
		}
	}()
	if err := upgrade(db, path, migrations()); err != nil {
		return nil, nil, err
	}
	err = db.View(func(tx *bolt.Tx) error {
		whole, err := read(tx)
		if err == nil {
			c = whole
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	return db, c, nil
}

// create makes an empty database under another name first: a file called path
// is complete from the start, so one of no bytes is known to be damaged.
func create(path string) error {
	fresh := path + freshSuffix
	db, err := openDatabase(fresh)
	if err != nil {
		return err
	}
	err = upgrade(db, fresh, migrations())
	if closeErr := db.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = replace(fresh, path)
	}
	if err != nil {
		_ = os.Remove(fresh)
	}
	return err
}

// The names of files that are not in use yet.
const (
	freshSuffix   = ".new"
	compactSuffix = ".compact"
)

// clean removes what a daemon that was killed in create or compact has left.
func clean(path string) error {
	for _, suffix := range []string{freshSuffix, compactSuffix} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// replace gives from the name to, and has the directory on the disk.
func replace(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// moveAside renames the file at path and returns its new name, never that of
// another one.
func moveAside(path string, now time.Time) (string, error) {
	base := path + ".corrupt-" + now.UTC().Format("20060102T150405Z")
	aside := base
	for n := 2; ; n++ {
		if _, err := os.Lstat(aside); errors.Is(err, fs.ErrNotExist) {
			break
		} else if err != nil {
			return "", err
		}
		aside = fmt.Sprintf("%s-%d", base, n)
	}
	return aside, replace(path, aside)
}
