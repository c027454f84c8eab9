package runtime

import "time"

// LogQuery selects log blocks of one service. Zero fields select everything.
type LogQuery struct {
	Environment string
	Project     string
	Service     string
	Generation  uint64    // only blocks of this generation
	Since       time.Time // only blocks written at or after
	Until       time.Time // only blocks written before
	Last        int       // only the last so many lines of what is there (then Follow)
	Offset      int64     // only bytes at or after this position of the service's log
	Follow      bool      // go on with what is written later
}

// Stream tells what a block of output is.
type Stream int

// The streams of an instance.
const (
	StreamUnknown Stream = iota // found after a crash without an index entry
	StreamStdout
	StreamStderr
	StreamTerminal // a pty: both in one, with CR LF
	StreamRuntime  // a line by stead itself
)

// LogBlock is a run of raw output: whole lines of one stream of one instance,
// but for a line that was cut after 10 ms without its end or at 64 KiB.
// Data is only valid during the call that hands it over.
type LogBlock struct {
	Service  string
	Instance InstanceID // zero when not known
	Stream   Stream
	Time     time.Time
	Offset   int64  // position of Data in the service's log, which only grows
	Data     []byte //
	Gap      int64  // so many bytes were lost before Data (disk full, reader too slow, retention)
}
