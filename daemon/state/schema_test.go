package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/stead-dev/stead/runtime"
)

func TestNewerSchemaIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	committed(t, s, sample(2))
	if err := upgrade(s.db, "x", append(migrations(), func(*bolt.Tx) error { return nil })); err != nil {
		t.Fatal(err)
	}
	s.Close()
	before := fileHash(t, dir)
	_, _, err := Open(dir, quiet)
	if !errors.Is(err, runtime.Unsupported) || runtime.Hint(err) == "" {
		t.Errorf("open: %v (hint %q)", err, runtime.Hint(err))
	}
	if fileHash(t, dir) != before {
		t.Error("the file was changed")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("files: %v", left)
	}
}

func TestMigrationKeepsWhatIsThere(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	b := sample(5)
	committed(t, s, b)
	rename := func(tx *bolt.Tx) error { return put(tx, metaBucket, []byte(bootKey), "migrated") }
	if err := upgrade(s.db, "x", append(migrations(), rename)); err != nil {
		t.Fatal(err)
	}
	want := contents(b)
	want.Boot = "migrated"
	same(t, "contents", loaded(t, s), want)
}

func TestFailedMigrationChangesNothing(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	committed(t, s, sample(5))
	before := fileHash(t, dir)
	broken := errors.New("broken")
	err := upgrade(s.db, "x", append(migrations(),
		func(tx *bolt.Tx) error { return put(tx, metaBucket, []byte(bootKey), "half") },
		func(*bolt.Tx) error { return broken }))
	if !errors.Is(err, broken) || fileHash(t, dir) != before {
		t.Errorf("error %v, file changed: %v", err, fileHash(t, dir) != before)
	}
}

func TestMigrationNeverBlessesDamage(t *testing.T) {
	s := opened(t, t.TempDir())
	committed(t, s, sample(5))
	if err := s.db.Update(func(tx *bolt.Tx) error { // behind the totals' back
		return tx.Bucket([]byte(portsBucket)).Delete([]byte("svc-0001"))
	}); err != nil {
		t.Fatal(err)
	}
	var broken *damage
	if err := upgrade(s.db, "x", append(migrations(), func(*bolt.Tx) error { return nil })); !errors.As(err, &broken) {
		t.Errorf("error %v", err)
	}
}

func TestFileShrinks(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	var many Batch
	for i := range uint64(8000) {
		many.Events = append(many.Events, Event{Sequence: i + 1, Time: at, Text: "a transition that is to go again, of the usual length"})
	}
	committed(t, s, many)
	committed(t, s, sample(20))
	if err := s.db.Update(func(tx *bolt.Tx) error { // as retention would
		c := changes{tx: tx}
		var err error
		if c.totals, err = noted(tx); err != nil {
			return err
		}
		for _, e := range many.Events[20:] {
			if err := c.delete(eventsBucket, eventKey(e.Sequence)); err != nil {
				return err
			}
		}
		return put(tx, metaBucket, []byte(totalsKey), c.totals)
	}); err != nil {
		t.Fatal(err)
	}
	s.Close()
	path := filepath.Join(dir, databaseName)
	before, _ := os.Stat(path)
	// A leftover of a daemon that was killed while compacting is in nobody's way.
	if err := os.WriteFile(path+compactSuffix, []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	s = opened(t, dir)
	after, _ := os.Stat(path)
	if after.Size() > before.Size()/4 {
		t.Errorf("%d bytes before, %d after", before.Size(), after.Size())
	}
	same(t, "contents", loaded(t, s), contents(sample(20)))
	committed(t, s, Batch{Boot: "goes on"})
	s.Close()
	s = opened(t, dir)
	if loaded(t, s).Boot != "goes on" {
		t.Error("a commit after compacting is lost")
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("files left: %v", left)
	}
}
