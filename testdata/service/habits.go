package main

import (
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
	"time"
)

var (
	insist  = flag.String("port", "", "listen on this port, whatever $PORT says")
	inherit = flag.Bool("inherit", false, "with -listen: on the sockets of LISTEN_FDS; and a SIGTERM has requests finished")
	garbage = flag.Bool("garbage", false, "answer on $PORT with what is no HTTP")
	hup     = flag.String("hup", "", "append the pid to this file at each SIGHUP")
	hold    = flag.String("hold", "", "lock this file, and end with 73 when somebody else has it")
)

// recordHUP is -hup.
func recordHUP() {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	for range c {
		appendTo(*hup, strconv.Itoa(os.Getpid()))
	}
}

// lock is -hold. The descriptor is never closed, so the lock lasts as long as
// the process.
func lock() {
	fd, err := syscall.Open(*hold, syscall.O_CREAT|syscall.O_RDWR|syscall.O_CLOEXEC, 0o600)
	if err == nil {
		err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "lock %s: %v\n", *hold, err)
		end(73)
	}
}

func serveGarbage() {
	l := open()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096))
				fmt.Fprint(c, "\x00\xff this is no HTTP\r\n\r\n")
			}()
		}
	}()
	tell()
}

// inherited are the sockets of LISTEN_FDS (sd_listen_fds(3)).
func inherited() []net.Listener {
	n, _ := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) || n == 0 {
		fmt.Fprintln(os.Stderr, "no sockets were given")
		end(71)
	}
	var all []net.Listener
	for fd := 3; fd < 3+n; fd++ {
		f := os.NewFile(uintptr(fd), "inherited")
		l, err := net.FileListener(f)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			end(71)
		}
		_ = f.Close() // l has a duplicate
		all = append(all, l)
	}
	return all
}

// web is what -listen serves with.
type web struct {
	server    http.Server
	listeners []net.Listener
	accepting sync.WaitGroup
	open      sync.WaitGroup // connections
}

func (w *web) start() {
	w.server.Protocols = new(http.Protocols)
	w.server.Protocols.SetHTTP1(true)
	w.server.Protocols.SetUnencryptedHTTP2(true)
	w.server.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			w.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			w.open.Done()
		}
	}
	for _, l := range w.listeners {
		w.accepting.Go(func() { _ = w.server.Serve(l) }) // until the listener is closed
	}
}

func (w *web) closePorts() {
	for _, l := range w.listeners {
		_ = l.Close()
	}
}

// finish has all answered who were accepted on inherited sockets. Those are
// not ours alone: who comes meanwhile is for the next generation. It is not
// http.Server.Shutdown, which answers nobody whose request it had not read yet.
func (w *web) finish() {
	if w == nil || !*inherit {
		return
	}
	w.server.SetKeepAlivesEnabled(false)
	w.closePorts()
	w.accepting.Wait()
	w.open.Wait()
}

func (w *web) serveClose(rw http.ResponseWriter, _ *http.Request) {
	w.closePorts()
	rw.Header().Set("Connection", "close")
	fmt.Fprintf(rw, "%d %s\n", os.Getpid(), os.Getenv("STEAD_ID"))
}

// serveSlow answers after ?for=, as one that has a lot to do: the head at once
// with ?head=1.
func serveSlow(w http.ResponseWriter, r *http.Request) {
	d, _ := time.ParseDuration(r.FormValue("for"))
	if r.FormValue("head") != "" {
		_ = http.NewResponseController(w).Flush()
	}
	select {
	case <-time.After(d):
	case <-r.Context().Done():
	}
	fmt.Fprintf(w, "%d %s\n", os.Getpid(), os.Getenv("STEAD_ID"))
}

// serveSocket is the open end of a WebSocket, as browsers have one for hot
// module replacement: a line with pid and instance, then what was sent. Frames
// are nobody's business here.
func serveSocket(w http.ResponseWriter, _ *http.Request) {
	c, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n%d %s\n", os.Getpid(), os.Getenv("STEAD_ID"))
	_, _ = io.Copy(c, buffered)
}

func appendTo(path, line string) {
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		fmt.Fprintln(f, line)
		_ = f.Close()
	}
}
