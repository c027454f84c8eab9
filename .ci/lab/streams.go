package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// drainLimit is how long the old process may finish what it serves, as the
// manifest leaves it.
const drainLimit = 5 * time.Second

// streams: a long stream lives until the drain limit of the generation that
// it began with, and shorter when there are saves meanwhile: one generation
// drains at most.
func streams(o options, v *verdicts) error {
	r, err := newReloaded(o)
	if err != nil {
		return err
	}
	defer r.end()
	lived, err := r.stream(1)
	if err != nil {
		return err
	}
	fmt.Printf("a stream that is never idle lived %.1f s after a save\n", lived.Seconds())
	v.check(fmt.Sprintf("it lives until the drain limit of %v", drainLimit), lived >= drainLimit)
	if lived, err = r.stream(10); err != nil { // as with HMR
		return err
	}
	fmt.Printf("a stream that is never idle lived %.1f s after the first of ten saves\n", lived.Seconds())
	pids, err := r.pids()
	if err != nil {
		return err
	}
	live := 0
	for _, pid := range childrenOf(pids[1]) {
		line, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if strings.Contains(string(line), "-listen") {
			live++
		}
	}
	v.check(fmt.Sprintf("no pile of old generations (%d live)", live), live <= 2)
	return nil
}

// stream returns how long a stream lives after the first of some saves.
func (r *reloaded) stream(saves int) (time.Duration, error) {
	began, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- follow(local(r.webPort), began) }() // ends with the stream
	select {
	case <-began:
	case err := <-ended:
		return 0, fmt.Errorf("the stream did not begin: %w", err)
	}
	at := time.Now()
	for range saves {
		if err := r.saveNew("web"); err != nil {
			return 0, err
		}
		if err := r.web.wait(1, time.Minute); err != nil {
			return 0, err
		}
	}
	select {
	case <-ended:
		return time.Since(at), nil
	case <-time.After(time.Minute):
		return 0, errors.New("a stream of an old generation was never cut")
	}
}

// follow reads server-sent events until they end; began is closed by the
// first of them.
func follow(address string, began chan struct{}) error {
	res, err := http.Get("http://" + address + "/events")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
		return err
	}
	close(began)
	_, err = io.Copy(io.Discard, res.Body)
	return err
}
