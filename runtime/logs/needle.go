package logs

import (
	"bytes"
	"regexp/syntax"
	"strings"
	"unicode/utf8"
)

// needle is a text that is searched for much faster than an expression.
type needle struct {
	text []byte
	fold bool // text is lower case ASCII, and upper case will do
	rare int  // fold: its letter that is seldom met
}

// maxNeedles: with more of them the expression itself is about as fast.
const maxNeedles = 8

// required returns texts of which one at least is in everything that re
// matches, and whether that is enough for a match; nil when there are none.
func required(re *syntax.Regexp) (any []needle, enough bool) {
	switch re.Op {
	case syntax.OpLiteral:
		return literal(re)
	case syntax.OpCapture:
		return required(re.Sub[0])
	case syntax.OpPlus:
		any, _ = required(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if found, _ := required(sub); worth(found) > worth(any) {
				any = found
			}
		}
	case syntax.OpAlternate:
		enough = true
		for _, sub := range re.Sub {
			found, alone := required(sub)
			if found == nil || len(any)+len(found) > maxNeedles {
				return nil, false
			}
			any, enough = append(any, found...), enough && alone
		}
	}
	return any, enough
}

// worth is the length of the shortest needle; one of several is worth less.
func worth(list []needle) int {
	shortest := 0
	for i, n := range list {
		if i == 0 || len(n.text) < shortest {
			shortest = len(n.text)
		}
	}
	return 2*shortest - min(len(list), shortest)
}

func literal(re *syntax.Regexp) (any []needle, enough bool) {
	text := string(re.Rune)
	if re.Flags&syntax.FoldCase == 0 {
		if strings.ContainsRune(text, utf8.RuneError) {
			return nil, false // also stands for bytes that are no UTF-8
		}
		// Lines are searched without their ends, needles are with them.
		return []needle{{text: []byte(text)}}, !strings.ContainsAny(text, "\r\n")
	}
	// K and S have a third form, beyond ASCII.
	best := ""
	for _, run := range strings.FieldsFunc(text, func(r rune) bool {
		return r >= utf8.RuneSelf || strings.ContainsRune("KkSs\r\n", r)
	}) {
		if len(run) > len(best) {
			best = run
		}
	}
	if best == "" {
		return nil, false
	}
	best, enough = strings.ToLower(best), len(best) == len(text)
	return []needle{{text: []byte(best), fold: true, rare: rarest(best)}}, enough
}

// rarest returns the position of the byte in text that logs have least of.
func rarest(text string) int {
	const often = "zqjxvywgbmuhfplcdnrsioate " // rising
	at, least := 0, len(often)
	for i := range len(text) {
		if n := strings.IndexByte(often, text[i]); n < least {
			at, least = i, n
		}
	}
	return at
}

// index returns where n begins in data, or -1.
func (n needle) index(data []byte) int {
	if !n.fold {
		return bytes.Index(data, n.text)
	}
	lower := n.text[n.rare]
	upper := lower
	if 'a' <= lower && lower <= 'z' {
		upper -= 'a' - 'A'
	}
	low, up := find(data, 0, lower), -1
	if upper == lower {
		up = len(data)
	} else {
		up = find(data, 0, upper)
	}
	for min(low, up) < len(data) {
		at := min(low, up) - n.rare
		if at >= 0 && at+len(n.text) <= len(data) && foldEqual(data[at:at+len(n.text)], n.text) {
			return at
		}
		if low < up {
			low = find(data, low+1, lower)
		} else {
			up = find(data, up+1, upper)
		}
	}
	return -1
}

// find returns where b is in data from at on, or its length.
func find(data []byte, at int, b byte) int {
	if i := bytes.IndexByte(data[at:], b); i >= 0 {
		return at + i
	}
	return len(data)
}

// foldEqual reports whether text is lower but for the case of ASCII letters.
func foldEqual(text, lower []byte) bool {
	for i, b := range text {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != lower[i] {
			return false
		}
	}
	return true
}
