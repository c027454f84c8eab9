package gateway_test

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stead-dev/stead/daemon/gateway"
)

// faulty is a listener whose first Accept fails.
type faulty struct {
	net.Listener
	had atomic.Bool
}

func (f *faulty) Accept() (net.Conn, error) {
	if f.had.CompareAndSwap(false, true) {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.ENOBUFS)}
	}
	return f.Listener.Accept()
}

// wrapped has listeners that are faulty.
type wrapped struct{ *spine }

func (w wrapped) Listen(ctx context.Context, wanted []gateway.Socket) ([]net.Listener, []error) {
	listeners, errs := w.spine.Listen(ctx, wanted)
	for i, l := range listeners {
		if l != nil {
			listeners[i] = &faulty{Listener: l}
		}
	}
	return listeners, errs
}

// TestACallerIsAcceptedAfterTheKernelHadNoMemory: nobody accepted at that door
// any more.
func TestACallerIsAcceptedAfterTheKernelHadNoMemory(t *testing.T) {
	var sp spine
	socket := sp.bind(t, "shop/web/http")
	g := open(t, gateway.Options{Sockets: wrapped{&sp}})
	g.route(t, entry(socket, gateway.HTTP, 1, serve(t, says("web")).address))
	if _, body, _, err := get(caller(t, false), socket.Address); err != nil || body != "web" {
		t.Errorf("got %q, %v", body, err)
	}
}
