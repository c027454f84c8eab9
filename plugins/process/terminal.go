package process

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"github.com/stead-dev/stead/runtime"
)

// Terminal implements runtime.Runtime. ctx bounds the opening alone; the
// session lasts until it is closed.
func (r *Runtime) Terminal(_ context.Context, req runtime.TerminalRequest) (runtime.Session, error) {
	switch {
	case req.Attach != nil && req.Run == nil:
		return r.attach(*req.Attach, req.Size)
	case req.Run != nil && req.Attach == nil:
		return r.run(req.Run, req.Size)
	}
	return nil, fmt.Errorf("terminal: either attach or run: %w", runtime.Invalid)
}

func (r *Runtime) attach(id runtime.InstanceID, size runtime.Size) (runtime.Session, error) {
	r.mu.Lock()
	k := r.keepers[id.ID]
	r.mu.Unlock()
	if k == nil {
		return nil, fmt.Errorf("attach to %s: no such generation: %w", id.ID.Label(), runtime.NotFound)
	}
	if !k.spec.Terminal {
		err := fmt.Errorf("attach to %s: it has no terminal: %w", id.ID.Label(), runtime.Unsupported)
		return nil, runtime.WithHint(err, "give the service terminal: true")
	}
	screen := k.screens.find(id)
	if screen == nil {
		return nil, fmt.Errorf("attach to %s: it does not run now: %w", id.ID.Label(), runtime.Unavailable)
	}
	if size != (runtime.Size{}) {
		if err := resize(screen.master, size); err != nil {
			return nil, fmt.Errorf("attach to %s: %w: %w", id.ID.Label(), err, runtime.Unavailable)
		}
	}
	return screen.attach(), nil
}

// openTerminal returns both sides of a new terminal. After Setsid the child
// makes its side the controlling terminal.
func openTerminal(size runtime.Size) (master, tty *os.File, err error) {
	opened, tty, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	if master, err = pollable(opened); err != nil {
		tty.Close()
		return nil, nil, err
	}
	if err := resize(master, size); err != nil {
		master.Close()
		tty.Close()
		return nil, nil, err
	}
	return master, tty, nil
}

// resize goes by SyscallConn: Fd would make the file blocking.
func resize(master *os.File, size runtime.Size) error {
	if size.Columns <= 0 || size.Rows <= 0 {
		size = runtime.Size{Columns: 80, Rows: 24}
	}
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	cells := &unix.Winsize{Col: uint16(min(size.Columns, 65535)), Row: uint16(min(size.Rows, 65535))}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, cells) })
	return errors.Join(err, failed)
}
