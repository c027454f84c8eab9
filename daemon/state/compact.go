package state

import (
	"log/slog"
	"os"

	bolt "go.etcd.io/bbolt"
)

// compact copies the database into a small file that takes its place: bbolt
// never gives space back. When that does not work (a full disk) the old file
// goes on being used. The caller's db is closed or returned.
func compact(db *bolt.DB, path string, log *slog.Logger) (*bolt.DB, error) {
	small := path + compactSuffix
	if err := copyTo(small, db); err != nil {
		_ = os.Remove(small)
		log.Debug("state not compacted", "err", err)
		return db, nil
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	if err := replace(small, path); err != nil { // then the old one is still there
		_ = os.Remove(small)
		log.Debug("state not compacted", "err", err)
	}
	return openDatabase(path)
}

func copyTo(path string, db *bolt.DB) error {
	dst, err := openDatabase(path)
	if err != nil {
		return err
	}
	dst.NoSync = true // one flush at the end will do: nobody uses the file before
	// 0: one transaction, so that no head of the new file shows half of the data
	err = bolt.Compact(dst, db, 0)
	if err == nil {
		err = dst.Sync()
	}
	if closeErr := dst.Close(); err == nil {
		err = closeErr
	}
	return err
}
