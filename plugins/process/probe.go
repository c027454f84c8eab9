package process

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stead-dev/stead/runtime"
)

const (
	probeFirst = time.Millisecond / 2 // between the first two attempts; each pause is a seventh longer than the one before,
	// so that readiness is seen at most an eighth later than it came about
	probeMost    = 250 * time.Millisecond
	probeTimeout = time.Second // of one attempt
	probeRead    = 4 << 10     // of an HTTP answer
	probeRest    = 10 * time.Millisecond
)

// loopback is where a service may listen: some take ::1 alone for localhost.
var loopback = [...]string{"127.0.0.1", "::1"}

// ask makes one attempt: nil means ready, an error says what came instead.
func ask(ctx context.Context, probe *runtime.Probe, hosts []string, port int, run func(context.Context, []string) error) error {
	timeout := probe.Timeout
	if timeout <= 0 {
		timeout = probeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if probe.Kind == runtime.ProbeExec {
		return run(ctx, probe.Command)
	}
	var first error
	for _, host := range hosts {
		err := askAt(ctx, probe, host, port)
		if err == nil {
			return nil
		}
		if first == nil || errors.Is(first, syscall.ECONNREFUSED) && !isNoRoute(err) && !errors.Is(err, syscall.ECONNREFUSED) {
			first = err // whoever answered says more than whoever was not there
		}
	}
	return first
}

func isNoRoute(err error) bool {
	return errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.ENETUNREACH)
}

func askAt(ctx context.Context, probe *runtime.Probe, host string, port int) error {
	address := net.JoinHostPort(host, strconv.Itoa(port))
	switch open, known := knock(host, port); {
	case known && !open:
		return dialError(address, syscall.ECONNREFUSED)
	case known && probe.Kind == runtime.ProbeTCP:
		return nil
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return dialError(address, err)
	}
	defer conn.Close()
	if probe.Kind == runtime.ProbeTCP {
		return nil
	}
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	if probe.Kind == runtime.ProbeGRPC {
		return checkHealth(ctx, conn, probe.Service, address)
	}
	return get(conn, probe.Path, address)
}

// dialError is refused, no answer, or whatever else, in few words.
func dialError(address string, err error) error {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w on %s", syscall.ECONNREFUSED, address)
	case isTimeout(err):
		return fmt.Errorf("no answer on %s", address)
	}
	return err
}

func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// get asks for path by HTTP/1.1 (RFC 9112) and judges the status line alone;
// 3xx is an answer like 2xx and is not followed.
func get(conn net.Conn, path, address string) error {
	if path == "" {
		path = "/"
	}
	_, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: stead-probe\r\nAccept: */*\r\nConnection: close\r\n\r\n", path)
	if err != nil {
		return fmt.Errorf("GET %s on %s: %w", path, address, err)
	}
	reader := bufio.NewReaderSize(io.LimitReader(conn, probeRead), probeRead)
	line, err := reader.ReadString('\n')
	switch {
	case isTimeout(err):
		return fmt.Errorf("GET %s on %s: no answer in time", path, address)
	case err != nil:
		return fmt.Errorf("GET %s on %s: closed without an answer", path, address)
	}
	version, status, _ := strings.Cut(strings.TrimSpace(line), " ")
	code, err := strconv.Atoi(firstWord(status))
	if err != nil || !strings.HasPrefix(version, "HTTP/1.") {
		return fmt.Errorf("GET %s on %s: not an HTTP answer", path, address)
	}
	// The rest is read, if it comes at once, so that closing does not reset
	// the service's socket while it still writes.
	_ = conn.SetReadDeadline(time.Now().Add(probeRest))
	_, _ = io.Copy(io.Discard, reader)
	if code < 200 || code > 399 {
		return fmt.Errorf("GET %s on %s: status %s", path, address, shown(status))
	}
	return nil
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}

// taken reports whether somebody accepts connections on port already.
func taken(ctx context.Context, port int) bool {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	for _, host := range loopback {
		if askAt(ctx, &runtime.Probe{Kind: runtime.ProbeTCP}, host, port) == nil {
			return true
		}
	}
	return false
}
