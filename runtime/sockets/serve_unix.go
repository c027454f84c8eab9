//go:build linux || darwin

package sockets

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// Server hands out the sockets of a Source. See Serve.
type Server struct {
	source   Source
	log      *slog.Logger
	listener *net.UnixListener
	work     sync.WaitGroup

	mu     sync.Mutex
	conns  map[*net.UnixConn]struct{}
	closed bool
}

// sendLimit is for a client that does not read what it asked for.
const sendLimit = 10 * time.Second

// longestPath is the size of sun_path without the NUL at its end: 108 on Linux
// (unix(7)), 104 on macOS (unix(4)).
const longestPath = 103

// Serve hands out what source has to whoever connects to path, until Close. A
// socket that lies there is a dead server's, and is replaced: the caller makes
// sure that no other lives.
func Serve(path string, source Source, log *slog.Logger) (*Server, error) {
	if len(path) > longestPath {
		err := fmt.Errorf("serve sockets: %s is longer than %d bytes: %w", path, longestPath, runtime.Invalid)
		return nil, runtime.WithHint(err, "choose a shorter STEAD_HOME")
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, unavailable("serve sockets", err)
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, unavailable("serve sockets", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, unavailable("serve sockets", err)
	}
	s := &Server{source: source, log: log, listener: l, conns: map[*net.UnixConn]struct{}{}}
	s.work.Go(s.accept) // ends with Close
	return s, nil
}

// Close ends all connections and removes the socket. What was handed out stays
// with those who have it.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.listener.Close()
	s.work.Wait()
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of descriptors, or the client has gone already
			s.log.Warn("accept a client of the sockets", "err", err)
			if !s.pause() {
				return
			}
		case !allowed(conn, s.log):
			conn.Close()
		case !s.add(conn):
			return
		}
	}
}

// acceptPause keeps a lack of descriptors from taking a core for itself.
const acceptPause = 50 * time.Millisecond

func (s *Server) pause() bool {
	<-time.After(acceptPause)
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.closed
}

func (s *Server) add(conn *net.UnixConn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return false
	}
	s.conns[conn] = struct{}{}
	s.work.Go(func() { // ends when the client goes, or with Close
		defer s.drop(conn)
		if err := s.converse(conn); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) {
			s.log.Warn("a client of the sockets is dropped", "err", err)
		}
	})
	return true
}

func (s *Server) drop(conn *net.UnixConn) {
	conn.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// converse answers until the client goes.
func (s *Server) converse(conn *net.UnixConn) error {
	requests := bufio.NewReader(conn)
	for {
		line, err := readLine(requests)
		if err != nil {
			return err
		}
		var req request
		if err := json.Unmarshal(line, &req); err != nil || len(req.Fetch) > batch {
			refusal := answer{Error: fmt.Sprintf("a request is a line of JSON with at most %d names", batch)}
			return errors.Join(send(conn, refusal, nil), errors.New(refusal.Error))
		}
		if err := s.answer(conn, req); err != nil {
			return err
		}
	}
}

// readLine bounds what a client may make us keep.
func readLine(r *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil || !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
		if len(line) > lineLimit {
			return nil, fmt.Errorf("a line longer than %d bytes", lineLimit)
		}
	}
}

func (s *Server) answer(conn *net.UnixConn, req request) error {
	if req.List {
		return send(conn, answer{Names: s.source.Names()}, nil)
	}
	var a answer
	var fds []int
	defer func() {
		for _, fd := range fds {
			unix.Close(fd)
		}
	}()
	for _, name := range req.Fetch {
		if fd, ok := s.source.Duplicate(name); ok {
			a.Files, fds = append(a.Files, name), append(fds, fd)
		}
	}
	return send(conn, a, fds)
}

// send writes one line; the descriptors go with its first bytes.
func send(conn *net.UnixConn, a answer, fds []int) error {
	line, err := json.Marshal(a)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if err := conn.SetWriteDeadline(time.Now().Add(sendLimit)); err != nil {
		return err
	}
	if len(fds) > 0 {
		n, _, err := conn.WriteMsgUnix(line, unix.UnixRights(fds...), nil)
		if err != nil {
			return fmt.Errorf("pass %d descriptors: %w", len(fds), err)
		}
		line = line[n:]
	}
	if len(line) == 0 {
		return nil
	}
	_, err = conn.Write(line)
	return err
}
