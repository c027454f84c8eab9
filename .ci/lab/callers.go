package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// callers are clients of every kind that ask one service again and again,
// while it is reloaded: none may ever be turned away.
type callers struct {
	detach context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
	close  func() error

	mu       sync.Mutex
	answered map[string]int // by kind
	lost     []string
	refused  int // of lost: no TCP connection was to be had
	slowest  time.Duration
}

// call asks once, and returns what answered.
type call func(ctx context.Context) (string, error)

// callLimit is how long a request may be held while a service comes up.
const callLimit = 20 * time.Second

// startCallers asks rate times a second, kinds of clients taking turns.
func startCallers(web, tcp string, rate int) (*callers, error) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &callers{detach: ctx, cancel: cancel, answered: map[string]int{}}
	kinds, err := c.kinds(web, tcp)
	if err != nil {
		cancel()
		return nil, err
	}
	every := time.Duration(len(kinds)) * time.Second / time.Duration(rate)
	for kind, ask := range kinds {
		c.work.Go(func() { c.keepAsking(kind, ask, every) }) // ends with detach
	}
	return c, nil
}

func (c *callers) kinds(web, tcp string) (map[string]call, error) {
	conn, err := grpc.NewClient("passthrough:///"+web, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDisableRetry())
	if err != nil {
		return nil, err
	}
	c.close = conn.Close
	h2 := new(http.Protocols)
	h2.SetUnencryptedHTTP2(true)
	return map[string]call{
		"HTTP/1.1, kept alive":     overHTTP(web, &http.Transport{}),
		"HTTP/1.1, new connection": overHTTP(web, &http.Transport{DisableKeepAlives: true}),
		"HTTP/1.1, POST":           postHTTP(web, &http.Transport{}),
		"h2c":                      overHTTP(web, &http.Transport{Protocols: h2}),
		"gRPC unary": func(ctx context.Context) (string, error) {
			answer := new(wrapperspb.StringValue)
			err := conn.Invoke(ctx, "/echo.Echo/Say", wrapperspb.String("hello"), answer)
			return answer.GetValue(), err
		},
		"TCP": func(ctx context.Context) (string, error) { return overTCP(ctx, tcp) },
	}, nil
}

func overHTTP(address string, transport *http.Transport) call {
	client := http.Client{Transport: transport}
	return func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/", nil)
		if err != nil {
			return "", err
		}
		return answer(client.Do(req))
	}
}

// postHTTP sends what no proxy may send twice.
func postHTTP(address string, transport *http.Transport) call {
	client := http.Client{Transport: transport}
	return func(ctx context.Context) (string, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/", strings.NewReader("hello"))
		if err != nil {
			return "", err
		}
		return answer(client.Do(req))
	}
}

func answer(res *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, text)
	}
	return string(text), err
}

// errRefused is a connection that could not be made at all.
var errRefused = errors.New("refused")

// overTCP makes a connection, reads who answers, and has a line echoed.
func overTCP(ctx context.Context, address string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errRefused, err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(callLimit))
	if _, err := io.WriteString(conn, "hello\n"); err != nil {
		return "", err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return "", err
	}
	text, err := io.ReadAll(conn)
	if err == nil && !strings.HasSuffix(string(text), "\nhello\n") {
		err = fmt.Errorf("answered %q", text)
	}
	return string(text), err
}

func (c *callers) keepAsking(kind string, ask call, every time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-c.detach.Done():
			return
		case <-tick.C:
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), callLimit) // what has begun may end
		_, err := ask(ctx)
		cancel()
		c.mu.Lock()
		if err != nil {
			c.lost = append(c.lost, fmt.Sprintf("%s: %v", kind, err))
			if errors.Is(err, errRefused) {
				c.refused++
			}
		} else {
			c.answered[kind]++
		}
		c.slowest = max(c.slowest, time.Since(began))
		c.mu.Unlock()
	}
}

// end stops asking, and prints and returns what there was.
func (c *callers) end() (answered int, lost []string) {
	c.cancel()
	c.work.Wait()
	_ = c.close()
	var kinds []string
	for kind, n := range c.answered {
		answered += n
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	fmt.Printf("  %d requests answered, %d lost, of them %d TCP connections refused, the slowest after %s\n  %s\n", answered, len(c.lost), c.refused, ms(c.slowest), strings.Join(kinds, "; "))
	for i, text := range c.lost {
		if i == 10 {
			fmt.Printf("  and %d more\n", len(c.lost)-i)
			break
		}
		fmt.Println("  lost:", text)
	}
	return answered, c.lost
}
