// Command guest is what the conformance suite runs in containers: its service,
// and the little of a shell that the suite wants to find beside it.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime/conformance"
)

func main() {
	switch filepath.Base(os.Args[0]) {
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "sh":
		os.Exit(shell(os.Args[len(os.Args)-1]))
	default:
		if len(os.Args) == 3 && os.Args[1] == "call" {
			call(os.Args[2])
		}
		os.Exit(conformance.Service(os.Args[1:]))
	}
}

// shell knows echo and exit.
func shell(script string) int {
	for command := range strings.SplitSeq(script, ";") {
		word, rest, _ := strings.Cut(strings.TrimSpace(command), " ")
		switch word {
		case "echo":
			fmt.Println(rest)
		case "exit":
			code, _ := strconv.Atoi(rest)
			return code
		default:
			fmt.Fprintln(os.Stderr, "sh: no such command:", word)
			return 127
		}
	}
	return 0
}
