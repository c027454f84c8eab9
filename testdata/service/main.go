// Command service is a service with every habit, good and bad, that tests,
// benchmarks and chaos need. It listens a millisecond after exec, so that
// what is measured is stead.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

var (
	listen     = flag.Bool("listen", false, "serve HTTP/1.1, h2c and gRPC on $PORT: see serve.go")
	echo       = flag.Bool("echo", false, "serve TCP on $PORT: a line with pid and instance, then what was sent")
	delay      = flag.Duration("delay", 0, "wait before listening")
	exit       = flag.Int("exit", -1, "exit with this code after -after")
	after      = flag.Duration("after", 0, "see -exit")
	ignoreTerm = flag.Bool("ignore-term", false, "ignore SIGTERM")
	escape     = flag.Bool("escape", false, "leave a child behind in a session of its own, without environment, that ignores SIGTERM")
	escaped    = flag.Bool("escaped", false, "be that child")
	fork       = flag.Bool("fork", false, "fork a child that goes on, and exit: a daemon")
	lines      = flag.Int("lines", 0, "write so many numbered lines at once")
	bytes      = flag.Int64("bytes", 0, "write so many bytes in numbered lines of 120, as fast as can be; then -report")
	gate       = flag.String("gate", "", "a FIFO: wait for its end before -bytes; -notify tells when")
	report     = flag.String("report", "", "append when -bytes began and ended, in nanoseconds since 1970, to this file")
	stamp      = flag.Bool("stamp", false, "write the time, in nanoseconds since 1970, in the lines of -every")
	every      = flag.Duration("every", 0, "write a numbered line this often")
	count      = flag.String("count", "", "file that holds the number of the last line, kept over restarts")
	record     = flag.String("record", "", "append instance and exit code to this file before ending")
	hog        = flag.Int("hog", 0, "use so many bytes of memory")
	say        = flag.String("say", "", "send this by sd_notify, ; for a line end, once listening")
	notify     = flag.String("notify", "", "send a datagram with the pid to this Unix socket once listening")
)

func main() {
	flag.Parse()
	if *escaped {
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT)
		for { // no select{}: where it is the only goroutine, Go takes that for a deadlock
			time.Sleep(time.Hour)
		}
	}
	if *fork {
		spawn(os.Environ(), "-every", "1h")
		return
	}
	if *ignoreTerm {
		signal.Ignore(syscall.SIGTERM)
	}
	if *escape {
		spawn(nil, "-escaped")
	}
	if *hup != "" {
		go recordHUP()
	}
	if *hold != "" {
		lock()
	}
	used := make([]byte, *hog)
	for i := 0; i < len(used); i += 4096 { // a page that is not written to is none
		used[i] = 1
	}
	for n := range *lines {
		fmt.Println("line", n+1)
	}
	if *bytes > 0 {
		pour()
	}
	if *every > 0 && *write == "" {
		go tick()
	}
	if *write != "" {
		go writeLines()
	}
	if *exitNext != "" {
		time.AfterFunc(*after, exitWithNext)
	}
	if *exit >= 0 {
		time.AfterFunc(*after, func() { end(*exit) })
	}
	if *listen {
		time.Sleep(*delay)
	}
	signals := heed()
	var server *web
	if *listen {
		server = serve()
	}
	if *garbage {
		serveGarbage()
	}
	if *echo {
		serveEcho()
	}
	if *say != "" {
		if c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET")); err == nil {
			_, _ = fmt.Fprint(c, strings.ReplaceAll(*say, ";", "\n"))
			_ = c.Close()
		}
	}
	<-signals
	server.finish()
	end(0)
}

// spawn starts this program again, out of reach of signals to its group.
func spawn(env []string, args ...string) {
	self, _ := os.Executable()
	_, err := syscall.ForkExec(self, append([]string{self}, args...), &syscall.ProcAttr{
		Env: env, Files: []uintptr{0, 1, 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, "spawn:", err)
		end(70)
	}
}

// tell sends the datagram of -notify.
func tell() {
	if *notify == "" {
		return
	}
	if c, err := net.Dial("unixgram", *notify); err == nil {
		_, _ = fmt.Fprint(c, os.Getpid())
		_ = c.Close()
	}
}

// tick writes numbered lines. With -count the numbers go on after a restart,
// and each is noted before it is written: one that was noted and is missing
// from the log was cut off by the end of the process, and only the last can be.
func tick() {
	n := 0
	if *count != "" {
		text, _ := os.ReadFile(*count)
		n, _ = strconv.Atoi(string(text))
	}
	for range time.Tick(*every) {
		n++
		if *count != "" {
			_ = os.WriteFile(*count, []byte(strconv.Itoa(n)), 0o600)
		}
		if *stamp {
			fmt.Println("tick", n, time.Now().UnixNano())
		} else {
			fmt.Println("tick", n)
		}
	}
}

// heed has the signals sent here that end the process. It comes before
// anybody is told that the service is ready, and may be stopped.
func heed() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGINT)
	if !*ignoreTerm {
		signal.Notify(c, syscall.SIGTERM)
	}
	return c
}

func end(code int) {
	if *record != "" {
		appendTo(*record, fmt.Sprint(os.Getenv("STEAD_ID"), " ", code))
	}
	os.Exit(code)
}
