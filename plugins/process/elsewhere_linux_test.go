package process

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// A service that does not read $PORT is the most likely reason for one that
// never gets ready.
func TestServiceOnTheWrongPortIsToldWhere(t *testing.T) {
	b := start(t, Options{}).synced()
	_, other, _ := net.SplitHostPort(b.bindFree("x").Address)
	b.declare()
	for _, script := range []string{"on:" + other + " block", "child:on:" + other + "+block block"} {
		id := b.start(b.spec(script, tcp, func(s *runtime.Spec) { s.Ports = append([]runtime.Port{{Name: "admin"}}, s.Ports...) }))
		endpoint := b.untilKind(id, runtime.StartedEvent).Started.Endpoints["http"]
		want := fmt.Sprintf("nothing listens on %s ($PORT_HTTP); it listens on %s instead", endpoint, other)
		b.until(want, func(e runtime.Event) bool { return e.ID == id && e.Ready != nil && e.Ready.Detail == want })
		b.stop(id, runtime.StopRequest{Kill: true})
		b.untilFinal(id)
	}
}

func TestServiceThatListensNowhere(t *testing.T) {
	b := start(t, Options{}).synced()
	id := b.start(b.spec("block", tcp, func(s *runtime.Spec) { s.ReadyTimeout = unreadyAfter + 200*time.Millisecond }))
	if s := b.untilFinal(id); !strings.Contains(s.Reason, "connection refused on 127.0.0.1:") {
		t.Errorf("%+v", s)
	}
}
