//go:build unix

package main

import (
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// resizeSignals are sent when the terminal's size changes.
func resizeSignals() []os.Signal { return []os.Signal{syscall.SIGWINCH} }

// signalNumber is the number of a signal's name ("SIGKILL"); 0 when there is
// none of that name here.
func signalNumber(name string) int { return int(unix.SignalNum(name)) }

// interruptibleReader reads a file, mostly a terminal, that does not heed
// deadlines and may never have anything to read: it waits with select(2) for
// either that or interrupt. Not poll(2): on macOS that refuses terminals.
type interruptibleReader struct {
	file        *os.File
	wake, waker *os.File // a pipe, closed to interrupt
}

func newInterruptibleReader(file *os.File) (*interruptibleReader, error) {
	wake, waker, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	return &interruptibleReader{file, wake, waker}, nil
}

// Read returns io.EOF when it was interrupted.
func (r *interruptibleReader) Read(data []byte) (int, error) {
	file, wake := int(r.file.Fd()), int(r.wake.Fd())
	for {
		var ready unix.FdSet
		ready.Set(file)
		ready.Set(wake)
		_, err := unix.Select(max(file, wake)+1, &ready, nil, nil, nil)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("select", err)
		case ready.IsSet(wake):
			return 0, io.EOF
		case ready.IsSet(file):
			return r.file.Read(data)
		}
	}
}

func (r *interruptibleReader) interrupt() { _ = r.waker.Close() } // closing is all it is for

func (r *interruptibleReader) close() { _ = r.wake.Close() }
