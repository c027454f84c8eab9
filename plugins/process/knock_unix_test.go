package process

import (
	"net"
	"testing"
)

func TestKnock(t *testing.T) {
	for _, host := range loopback {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Logf("%s: %v", host, err)
			continue
		}
		port := l.Addr().(*net.TCPAddr).Port
		if open, known := knock(host, port); !open || !known {
			t.Errorf("%s, somebody listens: open %v, known %v", host, open, known)
		}
		l.Close()
		if open, known := knock(host, port); open || !known {
			t.Errorf("%s, nobody listens: open %v, known %v", host, open, known)
		}
	}
}
