package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// notices is what an instance says of itself by sd_notify(3): datagrams of
// KEY=VALUE lines to the socket in its $NOTIFY_SOCKET. READY=1, STATUS=,
// WATCHDOG=1 and WATCHDOG=trigger mean something here, all else is ignored.
// A nil one belongs to an instance that is not listened to.
type notices struct {
	conn    *net.UnixConn
	path    string
	news    chan struct{} // holds one: something has changed
	trigger chan struct{} // holds one: WATCHDOG=trigger
	done    chan struct{} // closed when listen has ended

	mu     sync.Mutex
	ready  bool
	beat   bool   // WATCHDOG=1 since it was last asked
	status string // STATUS=
	odd    string // why the last message that was not heeded was not
}

const (
	noticesName  = "notify"
	noticeLimit  = 4 << 10                // bytes of a message, as systemd's
	noticeFiles  = 256                    // bytes of control data: the sender, and files to be closed
	noticeBurst  = 64                     // messages in noticePause; more have to wait in the kernel's queue
	noticePause  = 100 * time.Millisecond //
	socketLength = 100                    // that every kernel takes; Linux has 107
)

// listensTo reports whether instances of spec get a socket.
func listensTo(spec *runtime.Spec) bool {
	return spec.Ready != nil && spec.Ready.Kind == runtime.ProbeNotify || spec.Live != nil && spec.Live.Kind == runtime.ProbeNotify
}

// openNotices makes the socket of one instance.
func (r *Runtime) openNotices() (*notices, error) {
	dir := filepath.Join(r.options.Dir, noticesName)
	path := filepath.Join(dir, strconv.FormatUint(r.sockets.Add(1), 10))
	if len(path) > socketLength {
		if path = abstractName(r.options.Nonce, r.sockets.Load()); path == "" {
			return nil, fmt.Errorf("its notify socket cannot be below %s: the path is too long", dir)
		}
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make its notify socket: %w", err)
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("make its notify socket: %w", err)
	}
	n := &notices{conn: conn, path: path, news: make(chan struct{}, 1), trigger: make(chan struct{}, 1), done: make(chan struct{})}
	if err := askSender(conn); err != nil {
		n.release()
		return nil, fmt.Errorf("make its notify socket: %w", err)
	}
	return n, nil
}

func (n *notices) release() {
	n.conn.Close()
	if !strings.HasPrefix(n.path, "@") {
		_ = os.Remove(n.path)
	}
}

// close ends listen.
func (n *notices) close() {
	if n != nil {
		n.release()
		<-n.done
	}
}

// variables returns env with those that sd_notify(3) and
// sd_watchdog_enabled(3) read.
func (n *notices) variables(env []string, live *runtime.Probe) []string {
	own := []string{"NOTIFY_SOCKET=" + n.path}
	if live != nil && live.Kind == runtime.ProbeNotify {
		every := live.Interval
		if every <= 0 {
			every = liveEvery
		}
		own = append(own, "WATCHDOG_USEC="+strconv.FormatInt(every.Microseconds(), 10))
	}
	env = slices.DeleteFunc(env, func(entry string) bool {
		key, _, _ := strings.Cut(entry, "=")
		return key == "NOTIFY_SOCKET" || key == "WATCHDOG_USEC" || key == "WATCHDOG_PID"
	})
	return append(env, own...)
}

// listen ends with close. belongs says whether a process is the instance's.
func (n *notices) listen(belongs func(pid int) bool) {
	defer close(n.done)
	data, control := make([]byte, noticeLimit), make([]byte, noticeFiles)
	var since time.Time
	for count := 0; ; count++ {
		size, more, flags, _, err := n.conn.ReadMsgUnix(data, control)
		if err != nil { // closed
			return
		}
		if now := time.Now(); now.Sub(since) > noticePause {
			since, count = now, 0
		}
		if count >= noticeBurst {
			<-time.After(noticePause) // who floods waits for us; close waits no longer than this
		}
		pid, known := sender(control[:more])
		switch {
		case truncated(flags):
			n.refuse(fmt.Sprintf("a message longer than %d bytes was ignored", noticeLimit))
		case known && !belongs(pid):
			n.refuse(fmt.Sprintf("a message of process %d, which is not of this instance or has ended already, was ignored", pid))
		default:
			n.take(string(data[:size]))
		}
	}
}

func (n *notices) refuse(why string) {
	n.mu.Lock()
	n.odd = why
	n.mu.Unlock()
	wake(n.news)
}

// take heeds one message.
func (n *notices) take(message string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for line := range strings.Lines(message) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		switch {
		case key == "READY" && value == "1":
			n.ready = true
		case key == "STATUS":
			n.status = shown(value)
		case key == "WATCHDOG" && value == "1":
			n.beat = true
			continue
		case key == "WATCHDOG" && value == "trigger":
			wake(n.trigger)
			continue
		default:
			continue
		}
		wake(n.news)
	}
}

func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// askReady says what is missing.
func (n *notices) askReady() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ready {
		return nil
	}
	text := "no READY=1 from it yet"
	if n.status != "" {
		text += "; it says: " + n.status
	}
	if n.odd != "" {
		text += "; " + n.odd
	}
	return errors.New(text)
}

// askBeat fails when no WATCHDOG=1 came since it was last called.
func (n *notices) askBeat(every time.Duration) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	beat := n.beat
	if n.beat = false; beat {
		return nil
	}
	text := "no WATCHDOG=1 from it within " + every.String()
	if n.odd != "" {
		text += "; " + n.odd
	}
	return errors.New(text)
}

// said is what the instance says of itself.
func (n *notices) said() string {
	if n == nil {
		return ""
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status
}

func (n *notices) changed() <-chan struct{} {
	if n == nil {
		return nil
	}
	return n.news
}

func (n *notices) triggered() <-chan struct{} {
	if n == nil {
		return nil
	}
	return n.trigger
}
