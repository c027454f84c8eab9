package kubernetes

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// logLine is a line of one run, or a piece of a very long one.
type logLine struct {
	time     time.Time
	instance runtime.InstanceID
	stream   runtime.Stream
	data     []byte // with its LF, which a piece does not have
	end      int64  // in the service's log, see Logs
}

// lines reads what the kubelet sends with PodLogOptions.Timestamps: a time of
// RFC 3339, a blank, and the line as it was written.
type lines struct {
	in     *bufio.Reader
	time   time.Time // of the line that a piece belongs to
	within bool      // the last one was a piece
}

func newLines(r io.Reader) *lines { return &lines{in: bufio.NewReaderSize(r, 32<<10)} }

// next returns a line, whether it is the first piece of it, and at the end
// what is left without LF, together with the error.
func (l *lines) next() (t time.Time, data []byte, first bool, err error) {
	for {
		part, err := l.in.ReadSlice('\n')
		data = append(data, part...)
		if errors.Is(err, bufio.ErrBufferFull) && len(data) < runtime.MaxLine {
			continue
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		if first = !l.within; first && len(data) > 0 {
			if l.time, data, err = stamped(data, err); err != nil && len(data) == 0 {
				return time.Time{}, nil, false, err
			}
		}
		l.within = err == nil && !bytes.HasSuffix(data, []byte("\n"))
		return l.time, data, first, err
	}
}

// stamped cuts the time off. A text that has none is the kubelet's own, about
// why there is no log.
func stamped(data []byte, end error) (time.Time, []byte, error) {
	stamp, rest, ok := bytes.Cut(data, []byte(" "))
	t, err := time.Parse(time.RFC3339Nano, string(stamp))
	if ok && err == nil {
		return t, rest, end
	}
	if end != nil { // cut off within the time
		return time.Time{}, nil, end
	}
	return time.Time{}, nil, fmt.Errorf("%w: %s", errNoLog, bytes.TrimSpace(data))
}

var errNoLog = errors.New("the kubelet has no log")

// place is how far the log of one run has been read. The kubelet is asked
// again for what is since a second, as precise as the API is; count tells how
// many of those lines were seen. Where the log was entered in the middle of
// that second, the count means nothing, and time has to do.
type place struct {
	second  time.Time // that of the newest line
	count   int       // lines since second
	newest  time.Time
	same    int // lines at newest
	entered time.Time
	done    bool // all of it was read
}

// seen notes a line. tail says that lines before the first were left out.
func (p *place) seen(t time.Time, tail bool) {
	if second := t.Truncate(time.Second); second.After(p.second) {
		if p.second.IsZero() && tail {
			p.entered = second
		}
		p.second, p.count = second, 0
	}
	if !t.Before(p.second) {
		p.count++
	}
	if t.After(p.newest) {
		p.newest, p.same = t, 0
	}
	if t.Equal(p.newest) {
		p.same++
	}
}

// repeats returns a function that tells which of the lines that come when the
// log is read again from second were seen before.
func (p *place) repeats() func(t time.Time) bool {
	count, newest, same := p.count, p.newest, p.same
	if p.entered.Equal(p.second) {
		return func(t time.Time) bool {
			if t.Equal(newest) && same > 0 {
				same--
				return true
			}
			return t.Before(newest)
		}
	}
	return func(t time.Time) bool {
		if t.After(newest) { // the file was rotated: what was counted is gone
			count = 0
		}
		count--
		return count >= 0
	}
}
