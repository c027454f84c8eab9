package ipc

import (
	"bytes"
	"strconv"
	"strings"
)

// Level is how bad the news of a log line is.
type Level int

// The levels, rising. What is critical, an alert or a panic is fatal here; a
// notice is info.
const (
	LevelUnknown Level = iota
	LevelTrace
	LevelDebug
	LevelInfo
	LevelWarn
	LevelError
	LevelFatal
)

func (l Level) String() string {
	return [...]string{"", "trace", "debug", "info", "warn", "error", "fatal"}[l]
}

// ParseLevel reads a level in the words that loggers use: names in any case,
// abbreviations, slog's INFO+2, the numbers of pino and bunyan (10 to 60) and
// those of syslog (0 to 7, RFC 5424). It is LevelUnknown for anything else.
func ParseLevel(word string) Level {
	if len(word) > 16 {
		return LevelUnknown
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil && !isLetter(rune(word[0])) { // INF is a level
		return numberedLevel(n)
	}
	if i := strings.LastIndexAny(word, "+-"); i > 0 {
		word = word[:i]
	}
	switch strings.ToLower(word) {
	case "trace", "trc", "finest", "finer", "verbose", "silly":
		return LevelTrace
	case "debug", "dbg", "dbug", "fine":
		return LevelDebug
	case "info", "inf", "information", "informational", "notice", "log":
		return LevelInfo
	case "warn", "warning", "wrn":
		return LevelWarn
	case "error", "err", "severe", "eror":
		return LevelError
	case "fatal", "ftl", "panic", "dpanic", "pnc", "critical", "crit", "alert", "emerg", "emergency":
		return LevelFatal
	}
	return LevelUnknown
}

func numberedLevel(n float64) Level {
	switch {
	case n != float64(int(n)) || n < 0 || n > 60:
		return LevelUnknown
	case n >= 10: // pino
		return min(LevelTrace+Level(n/10)-1, LevelFatal)
	case n > 7:
		return LevelUnknown
	}
	return [...]Level{LevelFatal, LevelFatal, LevelFatal, LevelError, LevelWarn, LevelInfo, LevelInfo, LevelDebug}[int(n)]
}

// levelReach is how far into a plain line its level is looked for: behind a
// time, a name and a thread.
const levelReach = 80

// plainLevel finds the level of a line that is neither JSON nor logfmt: a
// word that is all upper case, in brackets, or followed by a colon.
func plainLevel(text []byte) Level {
	text = text[:min(len(text), levelReach)]
	for len(text) > 0 {
		begin := bytes.IndexFunc(text, isLetter)
		if begin < 0 {
			return LevelUnknown
		}
		end := begin + 1
		for end < len(text) && isLetter(rune(text[end])) {
			end++
		}
		word := text[begin:end]
		if setOff(text, begin, end) {
			if l := ParseLevel(string(word)); l != LevelUnknown {
				return l
			}
		}
		text = text[end:]
	}
	return LevelUnknown
}

func isLetter(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// setOff reports whether a word stands out as a level does, and not as
// part of a sentence ("no error") or of a name ("INFO_DIR").
func setOff(text []byte, begin, end int) bool {
	before, after := byte(' '), byte(' ')
	if begin > 0 {
		before = text[begin-1]
	}
	if end < len(text) {
		after = text[end]
	}
	word := text[begin:end]
	switch {
	case before == '[' && after == ']', before == '<' && after == '>', before == '(' && after == ')':
		return true
	case !bytes.ContainsRune([]byte(" \t|["), rune(before)):
		return false
	case after == ':':
		return true
	}
	return bytes.ContainsRune([]byte(" \t|]"), rune(after)) && bytes.Equal(word, bytes.ToUpper(word))
}
