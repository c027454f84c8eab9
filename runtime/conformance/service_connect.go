package conformance

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
)

// hostVariable names the address on which services listen; not set, it is
// loopback. In a container it must be one that others reach.
const hostVariable = "STEAD_CONFORMANCE_HOST"

func ownAddress() string {
	return net.JoinHostPort(cmp.Or(os.Getenv(hostVariable), "127.0.0.1"), os.Getenv("PORT"))
}

// converse serves TCP as verb says, until it is ended.
func converse(verb string) {
	l, err := net.Listen("tcp", ownAddress())
	if err != nil {
		panic(err)
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go answer(verb, conn.(*net.TCPConn)) // ends with the connection
	}
}

func answer(verb string, conn *net.TCPConn) {
	defer conn.Close()
	switch verb {
	case "echo":
		if _, err := io.Copy(conn, conn); err == nil {
			fmt.Fprintln(conn, "end")
		}
	case "farewell":
		fmt.Fprintln(conn, "bye")
		_ = conn.CloseWrite()
		_, _ = io.Copy(os.Stdout, conn)
	case "flood":
		for block := make([]byte, 64<<10); ; {
			if _, err := conn.Write(block); err != nil {
				return
			}
		}
	}
}

func burn() {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	if err := exec.Command(path, "compute").Run(); err != nil {
		panic(err)
	}
}

func compute() {
	for n := uint32(1); ; n = n*1664525 + 1013904223 {
		if n == 0 {
			fmt.Println("zero") // so that it is not all for nothing
		}
	}
}
