package process

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	goruntime "runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// The test binary is its own services: with HELPER in its environment it does
// what that says, one word after the other.
func TestMain(m *testing.M) {
	if script := os.Getenv("HELPER"); script != "" {
		helper(strings.Fields(script))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func helper(words []string) {
	var eaten [][]byte
	defer func() { goruntime.KeepAlive(eaten) }()
	for _, word := range words {
		verb, value, _ := strings.Cut(word, ":")
		number, _ := strconv.Atoi(value)
		switch verb {
		case "print":
			fmt.Println(value)
		case "complain":
			fmt.Fprintln(os.Stderr, value)
		case "env":
			fmt.Println(value + "=" + os.Getenv(value))
		case "exit":
			os.Exit(number)
		case "sleep":
			time.Sleep(time.Duration(number) * time.Millisecond)
		case "await": // a file, which may be there already
			for {
				if _, err := os.Stat(value); err == nil {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
		case "ignore-term":
			signal.Ignore(syscall.SIGTERM)
		case "listen":
			listen(net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
		case "on": // a port of its own choice
			listen(net.JoinHostPort("127.0.0.1", value))
		case "listen6":
			listen(net.JoinHostPort("::1", os.Getenv("PORT")))
		case "accept":
			accept()
		case "listening":
			fmt.Println(listeningFiles(), "sockets")
		case "trace":
			trace(number)
		case "pid":
			fmt.Println(os.Getpid())
		case "argv":
			fmt.Printf("%q\n", os.Args)
		case "http":
			serveHTTP(value)
		case "child": // same session, does the rest of value
			spawn(value, os.Environ(), false)
		case "detached": // own session, same environment
			spawn(value, os.Environ(), true)
		case "orphan": // double fork, own session, no environment
			spawn("orphan2:"+value, nil, true)
		case "orphan2":
			spawn(value, nil, true)
		case "write":
			for i := range number {
				fmt.Println("line", i)
			}
		case "note": // write the pid into a file, which is there whole: who awaits it may end us
			_ = os.WriteFile(value+"~", fmt.Appendln(nil, os.Getpid()), 0o600)
			_ = os.Rename(value+"~", value)
		case "echo":
			for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
				fmt.Println("got " + lines.Text())
			}
		case "size":
			fmt.Println(terminalSize())
		case "blocking":
			fmt.Println(blocking(1), blocking(2))
		case "notify":
			if err := notify(strings.NewReplacer("+", " ", ";", "\n").Replace(value)); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		case "notify-garbage":
			garbage()
		case "spine":
			spine(value)
		case "eat": // so many MiB, and keep them
			eaten = append(eaten, bytes.Repeat([]byte{1}, number<<20))
		case "burn":
			for {
				number++
			}
		case "block":
			block()
		}
	}
}

// block is no select{}: in a program without cgo, Go takes that for a deadlock
// when no other goroutine is left, and ends it by exit code 2.
func block() {
	for {
		time.Sleep(time.Hour)
	}
}

func listen(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(9)
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
}

// accept serves HTTP on the first socket it was given; SIGTERM ends it when all
// that it has accepted is answered.
func accept() {
	l, err := net.FileListener(os.NewFile(3, "socket"))
	if err != nil || os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		fmt.Fprintln(os.Stderr, err, os.Getenv("LISTEN_PID"))
		os.Exit(9)
	}
	// Not by Server.Shutdown: that closes connections which were accepted, and
	// whose request it reads too late (conn.serve in net/http/server.go).
	var open sync.WaitGroup
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) }),
		ConnState: func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}
	served := make(chan struct{})
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	go func() { _ = server.Serve(l); close(served) }()
	fmt.Println("accepting")
	<-term
	l.Close()
	<-served
	open.Wait()
}

// listeningFiles counts the descriptors that were passed to this process.
func listeningFiles() int {
	count := 0
	for fd := 3; fd < 50; fd++ {
		if on, err := syscall.GetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN); err == nil && on != 0 {
			count++
		}
	}
	return count
}

// serveHTTP answers each request with the next of the statuses, then the last.
func serveHTTP(statuses string) {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", os.Getenv("PORT")))
	if err != nil {
		os.Exit(9)
	}
	go func() {
		for all := strings.Split(statuses, ","); ; {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			bufio.NewReader(conn).ReadString('\n')
			fmt.Fprintf(conn, "HTTP/1.1 %s Some Words\r\nContent-Length: 2\r\n\r\nok", all[0])
			conn.Close()
			if len(all) > 1 {
				all = all[1:]
			}
		}
	}()
}

// spawn runs this binary again with script, where + stands for a space.
func spawn(script string, env []string, setsid bool) {
	var rest []string
	for _, entry := range env {
		if !strings.HasPrefix(entry, "HELPER=") {
			rest = append(rest, entry)
		}
	}
	exe, _ := os.Executable()
	_, err := syscall.ForkExec(exe, []string{"helper"}, &syscall.ProcAttr{
		Env:   append(rest, "HELPER="+strings.ReplaceAll(script, "+", " ")),
		Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: setsid},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(8)
	}
}
