//go:build linux || darwin

package sockets

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connection to a Server.
type Conn struct {
	conn *net.UnixConn
	turn chan struct{} // holds one: nobody fetches
}

// Dial connects to the Server at path.
func Dial(path string) (*Conn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, unavailable("fetch sockets", err)
	}
	c := &Conn{conn: conn, turn: make(chan struct{}, 1)}
	c.turn <- struct{}{}
	return c, nil
}

// Close ends the connection. What was fetched stays open.
func (c *Conn) Close() error { return c.conn.Close() }

// Fetch returns a duplicate of each socket, closed on exec, that the caller is
// to close. A name that stands for none at this moment is left out. Calls take
// turns. After an error, which is ctx's or Unavailable, the connection is
// closed: dial again.
func (c *Conn) Fetch(ctx context.Context, names []string) (map[string]*os.File, error) {
	files := map[string]*os.File{}
	err := c.inTurn(ctx, func() (err error) {
		for len(names) > 0 && err == nil {
			some := names[:min(len(names), batch)]
			names, err = names[len(some):], c.fetch(some, files)
		}
		return err
	})
	if err == nil {
		return files, nil
	}
	for _, f := range files {
		f.Close()
	}
	return nil, err
}

// Names returns what the server has to give. Errors are those of Fetch.
func (c *Conn) Names(ctx context.Context) (names []string, err error) {
	err = c.inTurn(ctx, func() error {
		a, fds, err := c.ask(request{List: true})
		closeAll(fds)
		names = a.Names
		return err
	})
	return names, err
}

// inTurn does what uses the connection, while nobody else does and until ctx
// ends.
func (c *Conn) inTurn(ctx context.Context, do func() error) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return ctx.Err() // this one leaves the connection as it was
	}
	defer func() { c.turn <- struct{}{} }()
	stop := context.AfterFunc(ctx, func() { c.conn.SetDeadline(time.Unix(1, 0)) })
	err := do()
	if stop() && err == nil {
		return nil
	}
	c.conn.Close() // in the middle of an answer, or past its deadline
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return unavailable("fetch sockets", err)
}

func (c *Conn) fetch(names []string, into map[string]*os.File) error {
	a, fds, err := c.ask(request{Fetch: names})
	if err == nil && len(fds) != len(a.Files) {
		err = fmt.Errorf("%d descriptors came for %d names", len(fds), len(a.Files))
	}
	if err != nil {
		closeAll(fds)
		return err
	}
	for i, name := range a.Files {
		if before := into[name]; before != nil { // it was asked for twice
			before.Close()
		}
		into[name] = os.NewFile(uintptr(fds[i]), name)
	}
	return nil
}

// ask sends one request, and returns the answer with all that came with it.
func (c *Conn) ask(r request) (a answer, fds []int, err error) {
	line, err := json.Marshal(r)
	if err != nil {
		return a, nil, err
	}
	if _, err := c.conn.Write(append(line, '\n')); err != nil {
		return a, nil, err
	}
	text, fds, err := c.read()
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	return a, fds, err
}

// read takes one line and the descriptors that come with it, however the
// kernel cuts them. Nothing follows before the next request.
func (c *Conn) read() (line []byte, fds []int, err error) {
	block, control := make([]byte, 16<<10), make([]byte, unix.CmsgSpace(4*batch))
	for {
		n, more, flags, _, err := c.conn.ReadMsgUnix(block, control) // marks what comes close-on-exec
		if err != nil {
			return nil, fds, err
		}
		got, wrong := descriptors(control[:more])
		line, fds = append(line, block[:n]...), append(fds, got...)
		switch {
		case wrong != nil:
			return nil, fds, wrong
		case flags&unix.MSG_CTRUNC != 0:
			return nil, fds, fmt.Errorf("this process may not have that many files open (%d came): raise ulimit -n", len(fds))
		case n == 0:
			return nil, fds, io.ErrUnexpectedEOF
		case bytes.HasSuffix(line, []byte("\n")):
			return line, fds, nil
		case len(line) > 2*lineLimit: // JSON may escape what came in
			return nil, fds, errors.New("the answer has no end")
		}
	}
}

func descriptors(control []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	var fds []int
	for _, m := range messages {
		got, err := unix.ParseUnixRights(&m)
		if err != nil {
			return fds, err
		}
		fds = append(fds, got...)
	}
	return fds, nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
