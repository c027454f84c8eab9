package conformance

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/term"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// service is the program that the suite runs. Its verbs:
//
//	run                  until a signal ends it
//	exit CODE [AFTER]    ends with CODE after a duration
//	signal NUMBER        sends itself a signal
//	succeed-at N FILE    ends with 0 the N-th time it is run, before with 1
//	stubborn             ignores SIGTERM; writes "stubborn" when it does
//	serve AFTER          after a duration, HTTP on $PORT: 200 for /ok, else 500
//	grpc                 gRPC on $PORT with the health service, which serves
//	notify TEXT          sends TEXT, \n for a line end, by sd_notify, and runs
//	exists FILE          ends with 0 if there is such a file, else with 1
//	print TEXT           writes TEXT and runs
//	lines COUNT SIZE     writes so many lines to stdout, and to stderr, and runs
//	tree FILE            leaves a stubborn process in a session of its own
//	                     whose parent is gone; writes its pid to FILE, and runs
//	cat                  copies stdin to stdout
//	tty                  writes "tty COLUMNSxROWS" or "no tty", then is cat
//	pid                  writes its pid and runs
//	accept WORD          says to whoever connects to its LISTEN_FDS: WORD, the
//	                     number of the socket and its name; ends in order
//	echo                 listens on $PORT and sends back what comes; where that
//	                     ends it says "end\n" and closes
//	farewell             says "bye\n" to who connects to $PORT, and no more;
//	                     then writes what comes to stdout
//	flood                sends to who connects to $PORT without end
//	burn                 has a child that computes without end, and waits for it
//	signals              writes "waiting", then the number of each SIGHUP it gets
func service(args []string) int {
	verb, args := args[0], args[1:]
	switch verb {
	case "run":
	case "exit":
		code, _ := strconv.Atoi(args[0])
		if len(args) > 1 {
			pause(args[1])
		}
		return code
	case "signal":
		number, _ := strconv.Atoi(args[0])
		_ = syscall.Kill(os.Getpid(), syscall.Signal(number))
	case "succeed-at":
		return succeedAt(args[0], args[1])
	case "stubborn":
		signal.Ignore(syscall.SIGTERM)
		fmt.Println("stubborn")
	case "serve":
		pause(args[0])
		serveHTTP()
	case "grpc":
		serveGRPC()
	case "notify":
		notify(strings.ReplaceAll(args[0], `\n`, "\n"))
	case "exists":
		if _, err := os.Stat(args[0]); err != nil {
			return 1
		}
		return 0
	case "print":
		fmt.Print(strings.ReplaceAll(args[0], `\n`, "\n"))
	case "lines":
		writeLines(args[0], args[1])
	case "tree":
		grow("branch", args[0])
	case "branch": // between tree and leaf
		grow("leaf", args[0])
		return 0
	case "leaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGHUP)
		replaceFile(args[0], strconv.Itoa(os.Getpid()))
	case "cat":
		_, _ = io.Copy(os.Stdout, os.Stdin)
		return 0
	case "tty":
		return tty()
	case "accept":
		return accept(args[0])
	case "echo", "farewell", "flood":
		converse(verb)
	case "burn":
		burn()
	case "compute":
		compute()
	case "signals":
		heard := make(chan os.Signal, 1)
		signal.Notify(heard, syscall.SIGHUP)
		fmt.Println("waiting")
		for n := 1; ; n++ {
			<-heard
			fmt.Println("hangup", n)
		}
	case "pid":
		fmt.Println(os.Getpid())
	default:
		fmt.Fprintln(os.Stderr, "no such verb:", verb)
		return 2
	}
	forever()
	return 0
}

func forever() {
	for {
		pause("1h") // a bare select{} would be reported as a deadlock
	}
}

func pause(text string) {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(err)
	}
	<-time.After(d)
}

func succeedAt(n, path string) int {
	want, _ := strconv.Atoi(n)
	before, _ := os.ReadFile(path)
	replaceFile(path, string(before)+"x")
	if len(before)+1 < want {
		return 1
	}
	return 0
}

func serveHTTP() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ok" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	if err := http.ListenAndServe(ownAddress(), handler); err != nil {
		panic(err)
	}
}

func serveGRPC() {
	l, err := net.Listen("tcp", ownAddress())
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, health.NewServer())
	panic(server.Serve(l))
}

// accept serves on what it was given until SIGTERM; who has been accepted by
// then is answered.
func accept(word string) int {
	count, err := strconv.Atoi(os.Getenv("LISTEN_FDS"))
	if pid := os.Getenv("LISTEN_PID"); err != nil || pid != strconv.Itoa(os.Getpid()) {
		fmt.Fprintf(os.Stderr, "LISTEN_FDS %v, LISTEN_PID %q in process %d\n", err, pid, os.Getpid())
		return 1
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	names := strings.Split(os.Getenv("LISTEN_FDNAMES"), ":")
	var work sync.WaitGroup
	var listeners []net.Listener
	for i := range count {
		l, err := net.FileListener(os.NewFile(uintptr(3+i), names[i]))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		listeners = append(listeners, l)
		work.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				fmt.Fprintln(conn, word, i, names[i])
				conn.Close()
			}
		})
	}
	fmt.Println("accepting")
	<-term
	for _, l := range listeners {
		l.Close()
	}
	work.Wait()
	return 0
}

func notify(text string) {
	conn, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		panic(err)
	}
	if _, err := conn.Write([]byte(text)); err != nil {
		panic(err)
	}
}

// line is what "lines" writes; also the tests know it.
func line(stream string, i, size int) string {
	text := fmt.Sprintf("%s %d ", stream, i)
	return text + strings.Repeat("x", max(0, size-len(text)-1)) + "\n"
}

func writeLines(count, size string) {
	n, _ := strconv.Atoi(count)
	length, _ := strconv.Atoi(size)
	out, errs := bufio.NewWriter(os.Stdout), bufio.NewWriter(os.Stderr)
	for i := range n {
		_, _ = out.WriteString(line("out", i, length))
		_, _ = errs.WriteString(line("err", i, length))
	}
	_ = out.Flush()
	_ = errs.Flush()
}

// grow starts this program in a session of its own and leaves it alone.
func grow(verb, file string) {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(path, verb, file)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // holds the pipes open, as such processes do
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		panic(err)
	}
}

func replaceFile(path, text string) {
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		panic(err)
	}
}

// tty says how large its terminal is, and again when that changes: a cluster
// tells the size once the command runs.
func tty() int {
	changed := make(chan os.Signal, 1)
	signal.Notify(changed, syscall.SIGWINCH)
	size := func() {
		if columns, rows, err := term.GetSize(int(os.Stdin.Fd())); err == nil {
			fmt.Printf("tty %dx%d\n", columns, rows)
		} else {
			fmt.Println("no tty")
		}
	}
	size()
	go func() { // ends with the process
		for range changed {
			size()
		}
	}()
	_, _ = io.Copy(os.Stdout, os.Stdin)
	return 0
}
