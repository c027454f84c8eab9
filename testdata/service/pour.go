package main

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// A line of -bytes: its number has ten digits, so that it can be written over.
const (
	lineSize  = 120
	lineStart = "2026-01-02T03:04:05.678Z INFO request served id="
	lineRest  = " method=GET path=/api/v1/items status=200 took=1.234ms"
	perWrite  = 64 << 10 / lineSize
)

// pour writes -bytes.
func pour() {
	line := lineStart + "0000000000" + lineRest
	line += strings.Repeat(".", lineSize-len(line)-1) + "\n"
	block := []byte(strings.Repeat(line, perWrite))
	tell()
	if *gate != "" {
		_, _ = os.ReadFile(*gate) // blocks until its writer has come and gone
	}
	began := time.Now()
	number := 0
	for left := *bytes / lineSize; left > 0; {
		n := int(min(left, perWrite))
		for i := range n {
			number++
			digits(block[i*lineSize+len(lineStart):], number)
		}
		if _, err := os.Stdout.Write(block[:n*lineSize]); err != nil {
			end(72)
		}
		left -= int64(n)
	}
	if *report != "" {
		f, err := os.OpenFile(*report, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o666)
		if err == nil {
			fmt.Fprintf(f, "%d %d\n", began.UnixNano(), time.Now().UnixNano())
			_ = f.Close()
		}
	}
}

// digits writes n over ten bytes.
func digits(b []byte, n int) {
	for i := 9; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}
