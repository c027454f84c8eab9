// Package forward holds ports of this machine behind which services of another
// environment are reached: each connection is one of its own to there, so that
// one that is made after a pod has gone finds the next.
//
// A port stays the same for as long as its file is there, also over daemons:
// programs were told its number. Forwards may be used concurrently; Close
// returns when no goroutine of it is left, having cut what is connected.
package forward

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// Port is one of a service elsewhere.
type Port struct {
	Project string
	Service string
	Port    string // its name
}

// Dial opens a connection to a port. While nothing of the service can take
// one, the error is Unavailable.
type Dial func(ctx context.Context, to Port) (runtime.Conn, error)

// Forwards are the ports that are held.
type Forwards struct {
	file   string
	dial   Dial
	log    *slog.Logger
	ctx    context.Context // of all connections; ends by Close
	cancel context.CancelFunc
	work   sync.WaitGroup

	mu   sync.Mutex
	held map[Port]net.Listener
}

// kept is how a Port is remembered.
type kept struct {
	Port
	Address string
}

// Open returns what file remembers, held again. A port that somebody else has
// by now is left out: whoever wants it gets another one.
func Open(file string, dial Dial, log *slog.Logger) (*Forwards, error) {
	ctx, cancel := context.WithCancel(context.Background())
	f := &Forwards{file: file, dial: dial, log: log, ctx: ctx, cancel: cancel, held: map[Port]net.Listener{}}
	text, err := os.ReadFile(file)
	var all []kept
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		cancel()
		return nil, fmt.Errorf("read the forwarded ports: %w", err)
	}
	for _, one := range all {
		if err := f.hold(one.Port, one.Address); err != nil {
			log.Warn("a forwarded port is lost", "service", one.Service, "err", err)
		}
	}
	return f, nil
}

// Want holds ports, and returns the address of each, in their order. Those
// that are held already stay; others stay as well.
func (f *Forwards) Want(ports []Port) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	addresses := make([]string, len(ports))
	for i, p := range ports {
		if f.held[p] == nil {
			if err := f.hold(p, "127.0.0.1:0"); err != nil {
				return nil, fmt.Errorf("forward %s of %s: %w", p.Port, p.Service, err)
			}
		}
		addresses[i] = f.held[p].Addr().String()
	}
	return addresses, f.remember()
}

// hold listens. The caller holds mu, or is alone.
func (f *Forwards) hold(p Port, address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	f.held[p] = l
	f.work.Go(func() { f.accept(p, l) }) // ends with l
	return nil
}

func (f *Forwards) remember() error {
	all := []kept{}
	for p, l := range f.held {
		all = append(all, kept{p, l.Addr().String()})
	}
	text, err := json.Marshal(all)
	if err != nil {
		return fmt.Errorf("encode the forwarded ports: %w", err)
	}
	if err := os.WriteFile(f.file+".new", text, 0o600); err != nil {
		return fmt.Errorf("remember the forwarded ports: %w", err)
	}
	return os.Rename(f.file+".new", f.file)
}

// Drop lets go of all ports, for good.
func (f *Forwards) Drop() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for p, l := range f.held {
		_ = l.Close() // it has no say
		delete(f.held, p)
	}
	if err := os.Remove(f.file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Close ends it; what is remembered stays.
func (f *Forwards) Close() {
	f.mu.Lock()
	for _, l := range f.held {
		_ = l.Close() // it has no say
	}
	f.mu.Unlock()
	f.cancel()
	f.work.Wait()
}

func (f *Forwards) accept(p Port, l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return // closed
		}
		f.work.Go(func() { // ends with the connection, or by Close
			defer conn.Close()
			if err := f.carry(p, conn.(*net.TCPConn)); err != nil && f.ctx.Err() == nil {
				f.log.Info("a forwarded connection has ended", "service", p.Service, "err", err)
			}
		})
	}
}

// A service that is being replaced is back within moments; who waits for
// longer than that is told so by the end of the connection.
const (
	patience = 15 * time.Second
	again    = 100 * time.Millisecond
)

// carry connects one caller.
func (f *Forwards) carry(p Port, here *net.TCPConn) error {
	there, err := f.reach(p)
	if err != nil {
		return err
	}
	defer there.Close()
	stop := context.AfterFunc(f.ctx, func() { _ = here.Close(); _ = there.Close() })
	defer stop()
	back := make(chan error, 1)
	go func() { // ends with either end; received below
		_, err := io.Copy(here, there)
		back <- errors.Join(err, here.CloseWrite())
	}()
	_, err = io.Copy(there, here)
	if err != nil {
		_ = there.Close() // what it was to answer has no beginning
	} else {
		err = there.CloseWrite()
	}
	return errors.Join(err, <-back)
}

// reach dials until somebody is there.
func (f *Forwards) reach(p Port) (runtime.Conn, error) {
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		conn, err := f.dial(f.ctx, p)
		if err == nil || !errors.Is(err, runtime.Unavailable) {
			return conn, err
		}
		next := time.NewTimer(again)
		select {
		case <-next.C:
		case <-late.C:
			next.Stop()
			return nil, err
		case <-f.ctx.Done():
			next.Stop()
			return nil, f.ctx.Err()
		}
	}
}
