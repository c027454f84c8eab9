package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/stead-dev/stead/runtime"
)

// dialLimit is for one pod: to the API server, and from there to the kubelet.
const dialLimit = 10 * time.Second

// Connect implements runtime.Runtime. Each connection is a port-forward of its
// own, through the API server: one that is reset takes no other along, and the
// next finds a pod that is ready. What ends a half is passed on, but most
// kubelets end the other one a second later.
func (r *Runtime) Connect(ctx context.Context, req runtime.ConnectRequest) (runtime.Conn, error) {
	if r.config == nil {
		return nil, fmt.Errorf("connect to %s of %s: without a cluster: %w", req.Port, req.ID.Label(), runtime.Unsupported)
	}
	c := &connector{pods: r.pods(), dial: func(ctx context.Context, s sight, port int32) (runtime.Conn, error) {
		return forward(ctx, r.config, r.podURL(s, "portforward", nil), port)
	}}
	conn, err := c.connect(ctx, req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("connect to %s of %s: %w", req.Port, req.ID.Label(), err)
	}
	return conn, nil
}

// connector is one call of Connect.
type connector struct {
	pods pods
	dial func(ctx context.Context, s sight, port int32) (runtime.Conn, error)
}

func (c *connector) connect(ctx context.Context, req runtime.ConnectRequest) (runtime.Conn, error) {
	id := req.ID
	if _, known, _ := c.pods.look(id); !known {
		return nil, fmt.Errorf("no such generation: %w", runtime.NotFound)
	}
	if id.Number == 0 {
		var err error
		if id.Number, err = c.pods.routed(ctx, id); err != nil {
			return nil, err
		}
		if id.Number == 0 {
			return nil, fmt.Errorf("none of its generations is routed: %w", runtime.Unavailable)
		}
	}
	port, ok := c.pods.port(id, req.Port)
	if !ok {
		return nil, fmt.Errorf("it has no such port: %w", runtime.NotFound)
	}
	why := errors.New("none of its pods is ready")
	for _, s := range shuffled(c.pods, id) {
		var conn runtime.Conn
		if conn, why = c.dial(ctx, s, port); why == nil {
			return conn, nil
		}
		if ctx.Err() != nil || refusal(why) {
			break
		}
	}
	return nil, classed(why)
}

// shuffled returns the pods that are ready, in any order: callers that come at
// the same time, to whichever daemon, do not all take the same.
func shuffled(p pods, id runtime.ID) []sight {
	seen, _, _ := p.look(id)
	ready := slices.DeleteFunc(slices.Clone(seen), func(s sight) bool { return !s.ready() })
	rand.Shuffle(len(ready), func(i, j int) { ready[i], ready[j] = ready[j], ready[i] })
	return ready
}

// refusal reports whether the cluster does not let us, whichever pod it is.
func refusal(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) }

// classed gives an error of the cluster its class and what to do about it.
func classed(err error) error {
	if runtime.Class(err) != runtime.Internal {
		return err
	}
	hint, class := classify(err)
	return runtime.WithHint(fmt.Errorf("%w: %w", err, class), hint)
}
