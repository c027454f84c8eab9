package main

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
)

// callEvery is how often each of the two callers calls.
const callEvery = 5 * time.Millisecond

// call calls url for ever, by new connections and by a kept one, and prints
// each second how often that went well so far, and how often not. Until the
// first answer, which takes a route, nothing counts.
func call(url string) {
	var mu sync.Mutex
	good, bad := [2]int{}, [2]int{}
	for i, anew := range []bool{true, false} {
		client := &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: anew}}
		due := time.NewTicker(callEvery)
		for get(client, url) != nil {
			<-due.C
		}
		go func() { // ends with the process
			for range due.C {
				err := get(client, url)
				mu.Lock()
				if err == nil {
					good[i]++
				} else {
					bad[i]++
					fmt.Println("failed:", err)
				}
				mu.Unlock()
			}
		}()
	}
	for range time.Tick(time.Second) {
		mu.Lock()
		fmt.Println("called", good[0], bad[0], good[1], bad[1])
		mu.Unlock()
	}
}

func get(client *http.Client, url string) error {
	answer, err := client.Get(url)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answer %s", answer.Status)
	}
	return nil
}
