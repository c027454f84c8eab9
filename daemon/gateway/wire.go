package gateway

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// wire is a connection to an endpoint that speaks HTTP/1.1, for one request
// after the other that has no body and may be sent twice. Whoever forwards
// writes and reads it himself: http.Transport has two goroutines at each
// connection, and to wake them and to hand over between them is a fifth of
// what a small request costs. What is written and how answers are read is the
// library's all the same (Request.Write, ReadResponse).
type wire struct {
	*upstream
	address string
	raw     syscall.RawConn
	r       *bufio.Reader
	w       *bufio.Writer
	look    func(fd uintptr) // looks whether it is silent; bound once
	silent  bool             // of look
	head    int64            // how many bytes of a header may still come; below zero: any
	since   time.Time        // idle since
}

// mostHeader bounds the header of one answer, with all that announce it.
const mostHeader = 1 << 20

func newWire(u *upstream, address string) (*wire, error) {
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	w := &wire{upstream: u, address: address, raw: raw}
	w.r, w.w = bufio.NewReader(w), bufio.NewWriter(u)
	w.look = func(fd uintptr) {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		w.silent = err == nil && n == 0
	}
	return w, nil
}

// isSilent says that the other end has neither closed an idle wire nor said
// something that nobody has asked for, which would be taken for an answer.
func (w *wire) isSilent() bool {
	w.silent = false
	err := w.raw.Control(w.look)
	return err == nil && w.silent
}

var errLongHeader = errors.New("the answer's header is longer than 1 MiB")

// Read bounds headers. It is for bufio.
func (w *wire) Read(p []byte) (int, error) {
	if w.head < 0 {
		return w.upstream.Read(p)
	}
	if w.head == 0 {
		return 0, errLongHeader
	}
	n, err := w.upstream.Read(p[:min(int64(len(p)), w.head)])
	w.head -= int64(n)
	return n, err
}

// errStale is a wire whose other end has closed it while it was idle, or
// without a word of an answer.
var errStale = errors.New("the connection was closed before an answer came")

// ask sends a request, and returns the answer when its header is there. The
// wire goes back, or is closed, at the end of its body, and at any error.
func (w *wire) ask(r *http.Request) (*http.Response, error) {
	// Closed by the end of the request too, which comes after stop.
	stop := context.AfterFunc(r.Context(), func() { _ = w.Close() })
	res, err := w.exchange(r)
	if err != nil {
		stop()
		_ = w.Close()
		if cause := context.Cause(r.Context()); cause != nil {
			return nil, cause
		}
		return nil, err
	}
	b := &wireBody{Reader: res.Body, wire: w, stop: stop, keep: !res.Close}
	if res.Body == http.NoBody {
		b.end(nil)
		return res, nil
	}
	b.all = res.ContentLength > 0 && int64(w.r.Buffered()) >= res.ContentLength
	res.Body = b
	return res, nil
}

// exchange writes a request and reads headers until that of the answer.
func (w *wire) exchange(r *http.Request) (*http.Response, error) {
	failed := r.Write(w.w)
	if failed == nil {
		failed = w.w.Flush()
	} else if _, broken := w.w.Write(nil); broken == nil {
		return nil, failed // it is the request: nothing was sent that could be answered
	}
	// Also when not all could be sent: the answer may say that it was too long
	// (RFC 9112, 9.5).
	w.head = mostHeader
	if _, err := w.r.Peek(1); err != nil {
		if err == io.EOF || errors.Is(err, syscall.ECONNRESET) || failed != nil {
			return nil, errStale
		}
		return nil, err
	}
	for {
		res, err := http.ReadResponse(w.r, r)
		switch {
		case err != nil:
			return nil, err
		case res.StatusCode == http.StatusSwitchingProtocols:
			return nil, errors.New("the protocol was switched, which nobody has asked for")
		case res.StatusCode >= 200:
			w.head = -1
			res.Close = res.Close || failed != nil
			return res, nil
		}
		if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.Got1xxResponse != nil {
			if err := trace.Got1xxResponse(res.StatusCode, map[string][]string(res.Header)); err != nil {
				return nil, err
			}
		}
	}
}

// wireBody is the body of an answer.
type wireBody struct {
	io.Reader
	wire *wire
	stop func() bool // of the request's context; nil: the wire is not ours any more
	keep bool        // the other end will take another request
	all  bool        // it is here already as a whole
}

func (b *wireBody) Read(p []byte) (int, error) {
	if b.stop == nil {
		return 0, io.EOF
	}
	n, err := b.Reader.Read(p)
	if err != nil {
		b.end(err)
	}
	return n, err
}

// end gives the wire back after the last byte of the answer.
func (b *wireBody) end(err error) {
	stopped := b.stop()
	b.stop = nil
	if stopped && b.keep && (err == nil || err == io.EOF) && b.wire.r.Buffered() == 0 {
		b.wire.generation.wires.give(b.wire)
		return
	}
	_ = b.wire.Close()
}

// Close closes the wire where the answer has not been read to its end.
func (b *wireBody) Close() error {
	if b.stop != nil {
		b.keep = false
		b.end(nil)
	}
	return nil
}
