package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// load asks steady services all the time. Nobody touches them: each request
// must be answered, by the process that answered the first.
type load struct {
	stop chan struct{}
	work sync.WaitGroup

	mu       sync.Mutex
	answered int
	lost     []string
}

// between two requests to one service.
const between = 5 * time.Millisecond

// startLoad begins; urls are by service.
func startLoad(urls map[string]string) *load {
	l := &load{stop: make(chan struct{})}
	for name, url := range urls {
		for _, fresh := range []bool{true, false} {
			l.work.Add(1)
			go l.ask(name, url, fresh) // ends with stop
		}
	}
	return l
}

// ask uses one connection all the time, or a fresh one for each request.
func (l *load) ask(name, url string, fresh bool) {
	defer l.work.Done()
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: fresh}}
	defer client.CloseIdleConnections()
	first := ""
	for {
		select {
		case <-l.stop:
			return
		case <-time.After(between):
		}
		text, err := get(&client, url)
		if first == "" {
			first = text
		}
		if err == nil && text != first {
			err = fmt.Errorf("answered by %q instead of %q", strings.TrimSpace(text), strings.TrimSpace(first))
		}
		l.mu.Lock()
		if err == nil {
			l.answered++
		} else {
			l.lost = append(l.lost, fmt.Sprintf("%s: %v", name, err))
		}
		l.mu.Unlock()
	}
}

func get(client *http.Client, url string) (string, error) {
	res, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return string(text), err
}

// end stops the load and says what was lost.
func (l *load) end() error {
	close(l.stop)
	l.work.Wait()
	if len(l.lost) > 0 {
		return fmt.Errorf("%d of %d requests to services that nobody touched were lost, the first: %s",
			len(l.lost), len(l.lost)+l.answered, l.lost[0])
	}
	fmt.Printf("%d requests under way of it, each answered by the process that answered the first\n", l.answered)
	return nil
}
