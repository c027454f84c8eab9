// Command stead is what people type: a thin client of the daemon's API.
//
// It holds no knowledge of manifests, state or processes; everything it shows
// the daemon has told it. One goroutine runs a verb; the few others (readers
// of a stream, of the terminal, of signals) are waited for by the verb that
// started them.
package main

import "os"

// version is set by the build: -ldflags "-X main.version=v0.1.0".
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
