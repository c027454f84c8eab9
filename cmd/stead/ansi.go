package main

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

const escape = 0x1b

// withoutANSI takes escape sequences off (ECMA-48, and the OSC strings of
// xterm): in a file or for a program they are only noise. Everything else
// stays as it is. It returns text itself when there is nothing to do.
func withoutANSI(text []byte) []byte {
	if bytes.IndexByte(text, escape) < 0 {
		return text
	}
	out := make([]byte, 0, len(text))
	for {
		i := bytes.IndexByte(text, escape)
		if i < 0 {
			return append(out, text...)
		}
		out = append(out, text[:i]...)
		text = text[i+sequence(text[i:]):]
	}
}

// sequence returns the length of the escape sequence that text begins with.
// One that does not come to its end is only its introducer.
func sequence(text []byte) int {
	if len(text) < 2 {
		return len(text)
	}
	switch text[1] {
	case '[': // CSI: parameters, intermediates, a final byte
		for i, b := range text[2:] {
			if b >= 0x40 && b <= 0x7e {
				return i + 3
			}
			if b < 0x20 || b > 0x7e {
				break
			}
		}
		return 2
	case ']', 'P', 'X', '^', '_': // a string, ended by BEL or ST
		for i := 2; i < len(text); i++ {
			if text[i] == 0x07 {
				return i + 1
			}
			if text[i] == escape && i+1 < len(text) && text[i+1] == '\\' {
				return i + 2
			}
		}
		return 2
	}
	end := 1
	for end < len(text) && text[end] >= 0x20 && text[end] <= 0x2f { // intermediates, as in ESC ( B
		end++
	}
	if end < len(text) && text[end] >= 0x30 && text[end] <= 0x7e {
		end++
	}
	return end
}

// forTerminal makes a line fit to be shown: of a progress bar that goes back
// by CR its last state; colours as they are, if there are to be any, but
// nothing that moves the cursor or talks to the terminal; and what is no text
// in hexadecimal. The colours end with the line.
func forTerminal(text []byte, colors bool) string {
	text = lastState(text)
	var out strings.Builder
	colored := false
	for len(text) > 0 {
		if text[0] == escape {
			n := sequence(text)
			if colors && n > 2 && text[1] == '[' && text[n-1] == 'm' {
				out.Write(text[:n])
				colored = true
			}
			text = text[n:]
			continue
		}
		r, n := utf8.DecodeRune(text)
		switch {
		case r == utf8.RuneError && n == 1:
			out.WriteRune(r)
		case r < 0x20 && r != '\t', r >= 0x7f && r < 0xa0:
			fmt.Fprintf(&out, `\x%02x`, r)
		default:
			out.Write(text[:n])
		}
		text = text[n:]
	}
	if colored {
		out.WriteString("\x1b[0m")
	}
	return out.String()
}

// lastState returns what is behind the last CR that something follows.
func lastState(text []byte) []byte {
	text = bytes.TrimRight(text, "\r")
	return text[bytes.LastIndexByte(text, '\r')+1:]
}
