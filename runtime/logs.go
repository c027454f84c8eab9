package runtime

import "time"

// LogQuery selects log blocks of one service. Zero fields select everything.
//
// With Match, only lines are handed over in which the expression is found. It
// sees a line as it was written, without LF or CR LF, also one that was cut
// into blocks: pieces of one instance and stream are joined, up to MaxLine.
// Data is then whole lines, each with an LF, in which lines that do not match
// are left out; Offset+len(Data) is where the last of them ends in the log, so
// that a later query can go on there. Last counts lines that match. Without
// Follow the last block has no Data, and Offset is where reading ended. An
// expression that is none is Invalid.
type LogQuery struct {
	Environment string
	Project     string
	Service     string
	Generation  uint64    // only blocks of this generation
	Stream      Stream    // only blocks of this stream; StreamUnknown is all of them
	Match       string    // only lines in which this RE2 expression is found
	Since       time.Time // only blocks written at or after
	Until       time.Time // only blocks written before
	Last        int       // only the last so many lines of what is there (then Follow)
	Offset      int64     // only bytes at or after this position of the service's log
	Follow      bool      // go on with what is written later
}

// MaxLine is the longest line that is joined from blocks; a longer one is
// taken in pieces of that size.
const MaxLine = 1 << 20

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
