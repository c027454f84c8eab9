package runtime

import (
	"context"
	"time"
)

// Driver is who may change what a runtime keeps running, where more than one
// could: a cluster is reached from many machines.
type Driver struct {
	Self  bool      // it is this runtime, or nobody else has been since it was
	Name  string    // "alice@laptop"; empty: nobody is, and it is not this runtime's turn
	Since time.Time // zero: not known
}

// Leader is a Runtime that others may keep from changing anything: then Start,
// Stop, Route and Shutdown are Conflict, and the error names them. Description
// has a Driver; when that becomes another one, but for this runtime itself, every
// Watch ends.
type Leader interface {
	// Lead makes this runtime the driver. From another that lives it takes over
	// only when told to; else that is Conflict.
	Lead(ctx context.Context, over bool) error
}

// String says who, and since when: "alice@laptop since 10:02".
func (d Driver) String() string {
	switch {
	case d.Name == "":
		return "nobody"
	case d.Since.IsZero():
		return d.Name
	}
	at, layout := d.Since.Local(), time.TimeOnly[:5]
	if time.Since(at) > 12*time.Hour {
		layout = time.DateTime[:16]
	}
	return d.Name + " since " + at.Format(layout)
}
