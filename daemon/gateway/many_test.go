package gateway_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/daemon/gateway"
)

// many is how many callers TestManyParked parks: 10,000 with STEAD_MANY=1,
// for which this process and the one of the callers need 12,000 descriptors
// each. The race detector has no room for the goroutines of so many.
func many(t *testing.T) int {
	if os.Getenv("STEAD_MANY") == "" {
		return 500
	}
	const all = 10_000
	var files syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Cur < all+2000 {
		t.Fatalf("needs: %d descriptors (ulimit -n), and there are %d", all+2000, files.Cur)
	}
	return all
}

const beyond = 50 // callers for whom there is no room

// crowd is many callers, in a process of its own.
type crowd struct {
	t   *testing.T
	in  io.WriteCloser
	out *bufio.Scanner
}

func gather(t *testing.T, address string, n int) *crowd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STEAD_TEST_PROXY=crowd", "STEAD_TEST_UPSTREAM="+address, "STEAD_TEST_MANY="+strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	must(t, err)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return &crowd{t, in, bufio.NewScanner(out)}
}

// says expects the next line.
func (c *crowd) says(want string) {
	c.t.Helper()
	if !c.out.Scan() || c.out.Text() != want {
		c.t.Fatalf("the callers say %q, want %q", c.out.Text(), want)
	}
}

func (c *crowd) goOn() { _, _ = io.WriteString(c.in, "\n") }

// beCrowd asks, says so, asks more when it may go on, of whom it expects to be
// refused, and reads all answers.
func beCrowd() {
	address := os.Getenv("STEAD_TEST_UPSTREAM")
	n, err := strconv.Atoi(os.Getenv("STEAD_TEST_MANY"))
	check(err)
	words := bufio.NewScanner(os.Stdin)
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = askOnce(address)
	}
	fmt.Println("asked")
	words.Scan()
	refused := 0
	for range beyond {
		c := askOnce(address)
		res := answerOf(c)
		if res.StatusCode == http.StatusServiceUnavailable && res.Header.Get("Retry-After") != "" {
			refused++
		}
		_ = c.Close()
	}
	fmt.Println("refused", refused)
	answers := map[int]int{}
	for _, c := range conns {
		answers[answerOf(c).StatusCode]++
	}
	fmt.Println("answered", answers[http.StatusOK])
	words.Scan() // until the test has looked
}

func askOnce(address string) net.Conn {
	c, err := net.Dial("tcp", address)
	check(err)
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	check(err)
	return c
}

func answerOf(c net.Conn) *http.Response {
	check(c.SetReadDeadline(time.Now().Add(4 * patience)))
	res, err := http.ReadResponse(bufio.NewReaderSize(c, 512), nil)
	check(err)
	return res
}

// TestManyParked: every one of them is answered, and those for whom there is
// no room are told so at once.
func TestManyParked(t *testing.T) {
	many := many(t)
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: &sp, Limits: gateway.Limits{Conns: many + 2*beyond, Parked: many}})
	s := held(socket, gateway.HTTP)
	s.Park = time.Hour
	s.Use = true
	g.route(t, s)
	report(t, "parked before", 0)
	callers := gather(t, socket.Address, many)
	callers.says("asked")
	g.heard.await(t, "all wait", func(r gateway.Report) bool { return r.Kind == gateway.Used && r.InFlight == int64(many) })
	report(t, "parked", many)
	callers.goOn()
	callers.says(fmt.Sprint("refused ", beyond))
	address, accepted := script(t, strings.Split(strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n|", many), "|")...)
	s = entry(socket, gateway.HTTP, 1, address)
	s.Use = true
	g.route(t, s)
	began := time.Now()
	callers.says(fmt.Sprint("answered ", many))
	t.Logf("answered within %v, over %d connections to the process", time.Since(began), accepted())
	callers.goOn()
	g.close()
}
