package state

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"strings"

	bolt "go.etcd.io/bbolt"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/supervisor"
)

// read checks the database and returns all of it but the events.
func read(tx *bolt.Tx) (*Contents, error) {
	if err := verify(tx); err != nil {
		return nil, err
	}
	c := &Contents{
		Projects: map[string]json.RawMessage{},
		Specs:    map[runtime.ID]runtime.Spec{},
		Handles:  map[runtime.ID]runtime.Handle{},
		Ports:    map[string]int{},
	}
	if text := tx.Bucket([]byte(metaBucket)).Get([]byte(bootKey)); text != nil {
		if err := json.Unmarshal(text, &c.Boot); err != nil {
			return nil, damaged("%s: %v", bootKey, err)
		}
	}
	if text := tx.Bucket([]byte(metaBucket)).Get([]byte(notedKey)); text != nil {
		if err := json.Unmarshal(text, &c.Noted); err != nil {
			return nil, damaged("%s: %v", notedKey, err)
		}
	}
	err := each(tx, projectsBucket, func(k []byte, v json.RawMessage) error {
		c.Projects[string(k)] = v
		return nil
	})
	if err == nil {
		err = each(tx, servicesBucket, func(_ []byte, v supervisor.Service) error {
			c.Services = append(c.Services, v)
			return nil
		})
	}
	if err == nil {
		err = each(tx, specsBucket, func(_ []byte, v runtime.Spec) error {
			c.Specs[v.ID] = v
			return nil
		})
	}
	if err == nil {
		err = each(tx, handlesBucket, func(k []byte, v runtime.Handle) error {
			id, err := parseIDKey(k)
			c.Handles[id] = v
			return err
		})
	}
	if err == nil {
		err = each(tx, portsBucket, func(k []byte, v int) error {
			c.Ports[string(k)] = v
			return nil
		})
	}
	if err == nil {
		c.LastEvent, err = lastEvent(tx)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// each calls fn with every record of a bucket, in the order of the keys. The
// key is only valid during the call.
func each[T any](tx *bolt.Tx, bucket string, fn func(key []byte, value T) error) error {
	b := tx.Bucket([]byte(bucket))
	if b == nil {
		return damaged("no bucket %s", bucket)
	}
	return b.ForEach(func(k, text []byte) error {
		var value T
		if err := json.Unmarshal(text, &value); err != nil { // copies: text is the memory map
			return damaged("%s %q: %v", bucket, k, err)
		}
		return fn(k, value)
	})
}

func lastEvent(tx *bolt.Tx) (uint64, error) {
	b := tx.Bucket([]byte(eventsBucket))
	if b == nil {
		return 0, damaged("no bucket %s", eventsBucket)
	}
	k, _ := b.Cursor().Last()
	if k == nil {
		return 0, nil
	}
	if len(k) != 8 {
		return 0, damaged("event key of %d bytes", len(k))
	}
	return binary.BigEndian.Uint64(k), nil
}

func readEvents(tx *bolt.Tx, after uint64, limit int) ([]Event, error) {
	var events []Event
	if after == math.MaxUint64 {
		return nil, nil
	}
	c := tx.Bucket([]byte(eventsBucket)).Cursor()
	for k, text := c.Seek(eventKey(after + 1)); k != nil; k, text = c.Next() {
		if limit > 0 && len(events) == limit {
			break
		}
		var e Event
		if err := json.Unmarshal(text, &e); err != nil {
			return nil, damaged("event %x: %v", k, err)
		}
		events = append(events, e)
	}
	return events, nil
}

// Names may hold any byte but NUL, so that is what keys are joined with.
const separator = "\x00"

func nameKey(n supervisor.Name) ([]byte, error) {
	return joined(n.Environment, n.Project, n.Service)
}

// idKey ends with the number, big-endian, so that generations are in order.
func idKey(id runtime.ID) ([]byte, error) {
	key, err := joined(id.Environment, id.Project, id.Service)
	if err != nil {
		return nil, err
	}
	return binary.BigEndian.AppendUint64(append(key, separator...), id.Number), nil
}

func parseIDKey(key []byte) (runtime.ID, error) {
	if len(key) < 9 {
		return runtime.ID{}, damaged("key %q is no generation's", key)
	}
	number := binary.BigEndian.Uint64(key[len(key)-8:])
	parts := strings.Split(string(key[:len(key)-9]), separator)
	if len(parts) != 3 {
		return runtime.ID{}, damaged("key %q is no generation's", key)
	}
	return runtime.ID{Environment: parts[0], Project: parts[1], Service: parts[2], Number: number}, nil
}

func eventKey(sequence uint64) []byte {
	return binary.BigEndian.AppendUint64(nil, sequence)
}
