package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// serve answers by the path:
//
//	/           pid and instance
//	/missing    404
//	/exit?code= ends the process
//	/size?n=    so many bytes
//	/events     server-sent events, one every 100 ms, until the client goes
//	/slow?for=  as /, after that time
//	/close      as /, and closes the port then
//	/socket     a WebSocket's beginning, then what is sent comes back
//
// A gRPC call of any method is answered by its own message.
func serve() *web {
	w := &web{}
	if *inherit {
		w.listeners = inherited()
	} else {
		w.listeners = []net.Listener{open()}
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
			serveCall(w, r)
			return
		}
		fmt.Fprintf(w, "%d %s\n", os.Getpid(), os.Getenv("STEAD_ID"))
	})
	http.HandleFunc("/missing", http.NotFound)
	http.HandleFunc("/exit", func(_ http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.FormValue("code"))
		end(code)
	})
	http.HandleFunc("/size", func(w http.ResponseWriter, r *http.Request) {
		n, _ := strconv.Atoi(r.FormValue("n"))
		w.Header().Set("Content-Length", strconv.Itoa(n))
		_, _ = io.CopyN(w, zeros{}, int64(n))
	})
	http.HandleFunc("/events", serveEvents)
	http.HandleFunc("/close", w.serveClose)
	http.HandleFunc("/slow", serveSlow)
	http.HandleFunc("/socket", serveSocket)
	w.start()
	tell()
	return w
}

// serveCall answers one message of a gRPC call (a byte of flags, four of
// length, the message) by the same.
func serveCall(w http.ResponseWriter, r *http.Request) {
	var head [5]byte
	if _, err := io.ReadFull(r.Body, head[:]); err != nil {
		return
	}
	message := make([]byte, binary.BigEndian.Uint32(head[1:]))
	if _, err := io.ReadFull(r.Body, message); err != nil {
		return
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write(append(head[:], message...))
	w.Header().Set("Grpc-Status", "0")
}

// zeros reads as bytes without end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func serveEvents(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for n := 1; ; n++ {
		fmt.Fprintf(w, "data: %d\n\n", n)
		w.(http.Flusher).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func serveEcho() {
	l := open()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				fmt.Fprintf(c, "%d %s\n", os.Getpid(), os.Getenv("STEAD_ID"))
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	tell()
}

func open() net.Listener {
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(os.Getenv("HOST"), "127.0.0.1"), cmp.Or(*insist, os.Getenv("PORT"))))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		end(71)
	}
	return l
}
