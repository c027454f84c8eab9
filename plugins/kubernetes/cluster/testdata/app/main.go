// Command app is what the smoke test's image holds: a service, and the shell
// that the image does not have.
package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if len(os.Args) < 2 {
		serve()
	}
	switch os.Args[1] {
	case "echo": // standard input, by lines
		for s := bufio.NewScanner(os.Stdin); s.Scan(); {
			fmt.Println("echo:", s.Text())
		}
	case "lookup":
		addresses, err := net.DefaultResolver.LookupHost(context.Background(), os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(addresses)
	case "get":
		client := http.Client{Timeout: 20 * time.Second}
		resp, err := client.Get(os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		defer resp.Body.Close()
		if _, err := io.Copy(os.Stdout, resp.Body); err != nil {
			log.Fatal(err)
		}
	case "exit":
		os.Exit(7)
	default:
		log.Fatal("unknown command ", os.Args[1])
	}
}

func serve() {
	host, err := os.Hostname()
	if err != nil {
		log.Fatal(err)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s\n", host)
	})
	fmt.Println("listening on :8080")
	log.Fatal(http.ListenAndServe(":8080", nil))
}
