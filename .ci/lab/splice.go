package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// servePump is the upstream of the row splice: a client says "down N", and is
// sent N bytes, or says "up N", sends N bytes, and is told when they are there.
func servePump(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() { // ends with the transfer
			defer conn.Close()
			_ = pump(conn) // the client sees it
		}()
	}
}

func pump(conn net.Conn) error {
	r := bufio.NewReaderSize(conn, 64<<10)
	line, err := r.ReadString('\n')
	if err != nil {
		return err
	}
	word, number, _ := strings.Cut(strings.TrimSpace(line), " ")
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return err
	}
	if word == "down" {
		return send(conn, n)
	}
	if err := receive(r, n); err != nil {
		return err
	}
	_, err = io.WriteString(conn, "there\n")
	return err
}

// chunk is how much is written at a time.
const chunk = 256 << 10

func send(w io.Writer, n int64) error {
	data := make([]byte, chunk)
	for n > 0 {
		wrote, err := w.Write(data[:min(n, chunk)])
		if err != nil {
			return err
		}
		n -= int64(wrote)
	}
	return nil
}

// receive wants exactly n bytes.
func receive(r io.Reader, n int64) error {
	data := make([]byte, chunk)
	for n > 0 {
		read, err := r.Read(data[:min(n, chunk)])
		n -= int64(read)
		if err != nil && n > 0 {
			return fmt.Errorf("%d bytes are missing: %w", n, err)
		}
	}
	return nil
}

// serveCopy is the floor: accept, dial, and io.Copy in both directions, which
// splices where the system can.
func serveCopy(from, to string) error {
	l, err := net.Listen("tcp", from)
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		upstream, err := net.Dial("tcp", to)
		if err != nil {
			return err
		}
		for _, way := range [][2]net.Conn{{conn, upstream}, {upstream, conn}} {
			go func() { // ends with its direction
				_, _ = io.Copy(way[0], way[1])
				_ = way[0].(*net.TCPConn).CloseWrite()
			}()
		}
	}
}

// transfer moves bytes in one direction, and returns how long that took.
func transfer(address, way string, n int64) (time.Duration, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	began := time.Now()
	if _, err := fmt.Fprintf(conn, "%s %d\n", way, n); err != nil {
		return 0, err
	}
	if way == "down" {
		err = receive(conn, n)
		return time.Since(began), err
	}
	if err := send(conn, n); err != nil {
		return 0, err
	}
	text, err := io.ReadAll(conn)
	if err == nil && string(text) != "there\n" {
		err = fmt.Errorf("answered %q", text)
	}
	return time.Since(began), err
}

// splice: the throughput of a TCP connection through the gateway, beside a
// process that does nothing but copy, and a direct connection.
func splice(o options, v *verdicts) error {
	paths, end, err := startPaths(o)
	defer end()
	if err != nil {
		return err
	}
	const transfers = 5 // of each in a round
	size := int64(o.mib) << 20 / transfers
	for _, way := range []string{"down", "up"} {
		took := map[string]sample{}
		for range o.rounds * transfers {
			for _, name := range []string{"direct", "copy", "stead"} {
				d, err := transfer(paths[name], way, size)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", name, way, err)
				}
				took[name] = append(took[name], d)
			}
		}
		rate := func(name string) float64 { return float64(size) / 1e6 / took[name].percentile(50).Seconds() }
		fmt.Printf("TCP %s, %d x %d MB, MB/s at the median\n  direct connection %.0f  bare copy %.0f  stead %.0f  stead to the bare copy %.2f, to the direct connection %.2f\n",
			way, o.rounds*transfers, size/1e6, rate("direct"), rate("copy"), rate("stead"), rate("stead")/rate("copy"), rate("stead")/rate("direct"))
		v.check(way+": >= 0.9 x a bare TCP copy", rate("stead") >= 0.9*rate("copy"))
	}
	return nil
}

// startPaths starts a stead with a pump, and a copier in front of that same
// pump, and returns where they are reached.
func startPaths(o options) (paths map[string]string, end func(), err error) {
	end = func() {}
	self, err := os.Executable()
	if err != nil {
		return nil, end, err
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, end, err
	}
	upstream, copier, published := local(ports[0]), local(ports[1]), local(ports[2])
	s, err := newStead(o, fmt.Sprintf("name: bench\nservices:\n  pump:\n    command: [%q, pump, %q]\n    ports: {data: {port: %d, target: %d, protocol: tcp}}\n", self, upstream, ports[2], ports[0]))
	if err != nil {
		return nil, end, err
	}
	cmd := exec.Command(self, "copy", copier, upstream)
	end = func() {
		if cmd.Process != nil {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
		_, _, _ = s.end()
	}
	if _, err := s.run("up", "-d"); err != nil {
		return nil, end, err
	}
	if err := cmd.Start(); err != nil {
		return nil, end, err
	}
	paths = map[string]string{"direct": upstream, "copy": copier, "stead": published}
	for _, name := range []string{"copy", "stead"} {
		err = errors.Join(err, answers(paths[name]))
	}
	return paths, end, err
}
