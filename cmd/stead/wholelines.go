package main

import (
	"io"
	"sync"
)

// wholeLines lets two goroutines write to one place: one writes logs, in
// pieces that may end within a line, and what the other one says comes between
// two lines.
type wholeLines struct {
	mu      sync.Mutex
	out     io.Writer
	within  bool   // the last piece ended within a line
	waiting []byte // to be said when that line has ended
}

// Write writes a piece.
func (w *wholeLines) Write(piece []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.out.Write(piece)
	if n > 0 {
		w.within = piece[n-1] != '\n'
	}
	if err == nil && !w.within && len(w.waiting) > 0 {
		_, err = w.out.Write(w.waiting)
		w.waiting = nil
	}
	return n, err
}

// say writes whole lines. Whoever writes the logs learns of an output that is
// gone.
func (w *wholeLines) say(lines string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.within {
		w.waiting = append(w.waiting, lines...)
		return
	}
	_, _ = io.WriteString(w.out, lines)
}
