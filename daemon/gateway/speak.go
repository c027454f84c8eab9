package gateway

import (
	"context"
	"io"
	"net/http"
	"strings"
	"time"
)

// speech is whether the processes of a generation speak HTTP/2.
type speech int32

const (
	speechUnknown speech = iota
	speechHTTP1
	speechHTTP2
)

// speakTime is for a process to answer HTTP/2's preface. One that takes longer
// is taken for one that speaks it.
const speakTime = 5 * time.Second

// wantsHTTP2 reports whether a request goes on by HTTP/2: when it came that
// way, and it is gRPC, which cannot do without, or the service speaks it too.
// That is asked once per generation, on a connection of its own: a request
// cannot be sent again when its body is under way.
func (g *generation) wantsHTTP2(r *http.Request, address string) bool {
	switch {
	case r.ProtoMajor != 2:
		return false
	case strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc"):
		return true
	}
	known := speech(g.speaks.Load())
	if known == speechUnknown {
		known = g.ask(r.Context(), address)
		g.speaks.Store(int32(known))
	}
	return known != speechHTTP1
}

// The client's preface, with settings that change nothing, and the head of a
// server's, which is a frame of settings too (RFC 9113, 3.4 and 6.5).
const (
	preface       = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	frameHead     = 9
	frameSettings = 4
)

// ask is unknown when nobody is there: whoever sends the request finds out.
func (g *generation) ask(ctx context.Context, address string) speech {
	c, err := g.dial(ctx, address)
	if err != nil {
		return speechUnknown
	}
	defer g.forget(c)
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(speakTime)) // fails when it is closed, and so does what follows
	head := make([]byte, frameHead)
	if _, err := io.WriteString(c, preface); err != nil {
		return speechUnknown
	}
	switch n, err := io.ReadFull(c, head); {
	case err == nil && head[0] == 0 && head[3] == frameSettings, isTimeout(err):
		return speechHTTP2
	case n == 0:
		return speechUnknown // it may have died
	}
	return speechHTTP1 // an error, in words of HTTP/1
}

func isTimeout(err error) bool {
	e, ok := err.(interface{ Timeout() bool })
	return ok && e.Timeout()
}
