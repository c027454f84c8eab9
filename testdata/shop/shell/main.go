// Command shell is a program for a terminal, to be attached to by
// `stead attach shell`: it prompts, reads lines and answers.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
)

func main() {
	if err := converse(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "shell:", err)
		os.Exit(1)
	}
}

// converse answers lines until exit, or until there are no more.
func converse(in io.Reader, out io.Writer) error {
	lines := bufio.NewScanner(in)
	for {
		fmt.Fprint(out, "shop> ")
		if !lines.Scan() {
			fmt.Fprintln(out)
			return lines.Err()
		}
		command, rest, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		switch command {
		case "":
		case "help":
			fmt.Fprintln(out, "help, echo TEXT, size, exit")
		case "echo":
			fmt.Fprintln(out, rest)
		case "size":
			fmt.Fprintln(out, size())
		case "exit":
			return nil
		default:
			fmt.Fprintf(out, "%s: unknown command; try help\n", command)
		}
	}
}

// size is that of the terminal, as rows and columns.
func size() string {
	stty := exec.Command("stty", "size")
	stty.Stdin = os.Stdin
	text, err := stty.Output()
	if err != nil {
		return "not a terminal"
	}
	return strings.TrimSpace(string(text))
}
