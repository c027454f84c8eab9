package runtime

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// ID names one generation of a service.
type ID struct {
	Environment string
	Project     string // project ID: unique on this daemon
	Service     string
	Number      uint64 // 1, 2, 3 …
}

// String returns environment/project/service/number.
func (id ID) String() string {
	return id.Environment + "/" + id.Project + "/" + id.Service + "/" + strconv.FormatUint(id.Number, 10)
}

// hostName is the longest of HostName: a generation's number fits behind it in
// a DNS label.
const hostName = 50

// HostName is the name by which others reach a service where each has an
// address of its own: the service's own wherever that is a label as RFC 1035
// has it, else one made of it with a part of its hash, so that two services
// never share one.
func HostName(service string) string {
	valid := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, service), "-")
	if valid == "" || valid[0] >= '0' && valid[0] <= '9' {
		valid = "s" + valid
	}
	if valid == service && len(valid) <= hostName {
		return valid
	}
	const digits = 6
	if keep := hostName - digits - 1; len(valid) > keep {
		valid = strings.TrimRight(valid[:keep], "-")
	}
	sum := sha256.Sum256([]byte(service))
	return valid + "-" + hex.EncodeToString(sum[:])[:digits]
}

// Label returns the short form that users read: service/number.
func (id ID) Label() string { return id.Service + "/" + strconv.FormatUint(id.Number, 10) }

// ParseID is the inverse of ID.String.
func ParseID(s string) (ID, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 4 {
		return ID{}, fmt.Errorf("generation id %q: want environment/project/service/number: %w", s, Invalid)
	}
	n, err := strconv.ParseUint(parts[3], 10, 64)
	if err != nil {
		return ID{}, fmt.Errorf("generation id %q: bad number: %w", s, Invalid)
	}
	return ID{Environment: parts[0], Project: parts[1], Service: parts[2], Number: n}, nil
}

// InstanceID names one process (or container) of a generation.
type InstanceID struct {
	ID      ID
	Replica int // 0, 1, … below Spec.Replicas
	Attempt int // 1 for the first start, one more for each restart
}

// String returns environment/project/service/number/replica/attempt.
func (i InstanceID) String() string {
	return i.ID.String() + "/" + strconv.Itoa(i.Replica) + "/" + strconv.Itoa(i.Attempt)
}

// ParseInstanceID is the inverse of InstanceID.String.
func ParseInstanceID(s string) (InstanceID, error) {
	parts := strings.Split(s, "/")
	if len(parts) != 6 {
		return InstanceID{}, fmt.Errorf("instance id %q: want environment/project/service/number/replica/attempt: %w", s, Invalid)
	}
	id, err := ParseID(strings.Join(parts[:4], "/"))
	if err != nil {
		return InstanceID{}, err
	}
	replica, err1 := strconv.Atoi(parts[4])
	attempt, err2 := strconv.Atoi(parts[5])
	if err1 != nil || err2 != nil {
		return InstanceID{}, fmt.Errorf("instance id %q: bad number: %w", s, Invalid)
	}
	return InstanceID{ID: id, Replica: replica, Attempt: attempt}, nil
}
