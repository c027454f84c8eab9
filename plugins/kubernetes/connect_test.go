package kubernetes

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/stead-dev/stead/runtime"
)

// nothing is a connection of which a test needs no more than that it is one.
type nothing struct{ runtime.Conn }

func TestConnectPicksAPod(t *testing.T) {
	a, b, c := podOf("a", 0), podOf("b", 1), podOf("c", 2)
	c.pod.Status.Conditions = nil // not ready
	old := podOf("old", 0)
	old.id.Number = 2
	stage := newStage(a, b, c, old)
	stage.route, stage.ports = 1, map[string]int32{"http": 8080}
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "pods/portforward"}, "a", errors.New("no"))
	service := web1
	service.Number = 0
	for _, test := range []struct {
		name  string
		req   runtime.ConnectRequest
		fail  map[string]error // by pod
		asked int
		class error
	}{
		{"any that is ready", runtime.ConnectRequest{ID: web1, Port: "http"}, nil, 1, nil},
		{"the routed generation", runtime.ConnectRequest{ID: service, Port: "http"}, nil, 1, nil},
		{"all refuse", runtime.ConnectRequest{ID: web1, Port: "http"}, map[string]error{"a": io.EOF, "b": io.EOF}, 2, runtime.Unavailable},
		{"no right", runtime.ConnectRequest{ID: web1, Port: "http"}, map[string]error{"a": forbidden, "b": forbidden}, 1, runtime.Invalid},
		{"no such port", runtime.ConnectRequest{ID: web1, Port: "grpc"}, nil, 0, runtime.NotFound},
		{"a stranger", runtime.ConnectRequest{ID: runtime.ID{Service: "stranger", Number: 1}, Port: "http"}, nil, 0, runtime.NotFound},
		{"none is there", runtime.ConnectRequest{ID: runtime.ID{Service: "web", Number: 9}, Port: "http"}, nil, 0, runtime.Unavailable},
	} {
		var asked []string
		conn := &connector{pods: stage, dial: func(_ context.Context, s sight, port int32) (runtime.Conn, error) {
			asked = append(asked, s.pod.Name)
			if port != 8080 {
				t.Errorf("%s: port %d", test.name, port)
			}
			return nothing{}, test.fail[s.pod.Name]
		}}
		_, err := conn.connect(t.Context(), test.req)
		if runtime.Class(err) != test.class || len(asked) != test.asked {
			t.Errorf("%s: %v, asked %v", test.name, err, asked)
		}
		if slices.Contains(asked, "c") || slices.Contains(asked, "old") {
			t.Errorf("%s: asked %v", test.name, asked)
		}
	}
}
