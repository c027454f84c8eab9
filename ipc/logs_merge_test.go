package ipc_test

import (
	"testing"

	"github.com/stead-dev/stead/ipc/ipctest"
	"github.com/stead-dev/stead/ipc/steadpb"
)

func pastOf(t *testing.T, b *ipctest.Backend) string {
	t.Helper()
	stream, err := serve(t, b).Logs(t.Context(), &steadpb.LogsRequest{})
	must(t, err)
	defer stream.Close()
	return readLogs(t, stream, 1<<20)
}

// Equal times: services by name, each in the order written.
func TestLogsOfEqualTimesKeepTheirOrder(t *testing.T) {
	b := ipctest.New(ipctest.Shop("api", "db", "web"))
	for _, name := range []string{"web", "api", "db"} {
		b.Write(ipctest.Name(name), block(1, name+"1\n"), block(1, name+"2\n"), block(2, name+"3\n"))
	}
	if got := pastOf(t, b); got != "api1 api2 db1 db2 web1 web2 api3 db3 web3 " {
		t.Errorf("got %q", got)
	}
}

// A clock that was set back a day must not show the new before the old, nor
// one service's day before the other's.
func TestLogsMergeWhenTheClockIsSetBack(t *testing.T) {
	const day = 24 * 3600
	b := ipctest.New(ipctest.Shop("api", "web"))
	b.Write(ipctest.Name("api"), block(day, "a1\n"), block(day+2, "a2\n"), block(1, "a3\n"), block(3, "a4\n"))
	b.Write(ipctest.Name("web"), block(day+1, "w1\n"), block(day+3, "w2\n"), block(2, "w3\n"), block(4, "w4\n"))
	if got := pastOf(t, b); got != "a1 w1 a2 w2 a3 w3 a4 w4 " {
		t.Errorf("got %q", got)
	}
}

func TestLogsRefusesWhatIsNoExpression(t *testing.T) {
	s := serve(t, ipctest.New(ipctest.Shop("api")))
	for _, req := range []*steadpb.LogsRequest{{Match: "a(b"}, {Stream: "stdin"}} {
		stream, err := s.Logs(t.Context(), req)
		must(t, err)
		if _, err := stream.Receive(); err == nil {
			t.Errorf("%v: no error", req)
		} else {
			t.Log(err)
		}
		_ = stream.Close()
	}
}
