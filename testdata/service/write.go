package main

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

var (
	write    = flag.String("write", "", "write numbered lines to stdout and stderr each -every, noted in -count: plain, partial or long")
	most     = flag.Int("most", 0, "with -write: so many lines, then no more")
	exitNext = flag.String("exit-next", "", "exit after -after with a code that goes up from 1 to 99, kept in this file")
)

// number is a number in a file, written in place by one pwrite: a kill leaves
// the old one or the new one.
type number struct{ file *os.File }

func openNumber(path string) number {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		end(72)
	}
	return number{f}
}

func (n number) get() int {
	text := make([]byte, 20)
	_, _ = n.file.ReadAt(text, 0) // an empty file is 0
	value, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return value
}

func (n number) set(value int) {
	if _, err := n.file.WriteAt(fmt.Appendf(nil, "%019d\n", value), 0); err != nil {
		fmt.Fprintln(os.Stderr, err)
		end(73)
	}
}

// writeLines writes line n to stdout, then to stderr: "out N ID FILL" and
// "err N ID". N is noted before, so that only what the end of the process cut
// off can be missing from the log.
func writeLines() {
	noted, id := openNumber(*count), os.Getenv("STEAD_ID")
	n := noted.get()
	for range time.Tick(*every) {
		if *most > 0 && n >= *most {
			return
		}
		n++
		noted.set(n)
		line, rest := fmt.Sprintf("out %d %s ", n, id), fill(n)
		if *write == "partial" {
			// Longer than stead waits for the end of a line.
			fmt.Print(line)
			fmt.Fprintf(os.Stderr, "err %d %s\n", n, id)
			time.Sleep(15 * time.Millisecond)
			fmt.Print(rest + "\n")
			continue
		}
		fmt.Print(line + rest + "\n")
		fmt.Fprintf(os.Stderr, "err %d %s\n", n, id)
	}
}

// fill is the rest of line n, up to 200,000 bytes of it where lines are long.
func fill(n int) string {
	length := n % 40
	if *write == "long" {
		length = n * 7919 % 200_000
	}
	return strings.Repeat(string(rune('a'+n%26)), length)
}

// exitWithNext ends with the next code.
func exitWithNext() {
	noted := openNumber(*exitNext)
	n := noted.get() + 1
	noted.set(n)
	end(1 + (n-1)%99)
}
