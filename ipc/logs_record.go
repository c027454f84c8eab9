package ipc

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// Record is what a structured line says.
type Record struct {
	Time    time.Time // zero when it says none
	Level   Level
	Message string
	Fields  []Field // the rest, in the order written
}

// Field is one of the other values of a Record.
type Field struct {
	Key   string
	Value string // JSON's strings without quotes; other values as they are written
	JSON  json.RawMessage
}

// ParseRecord reads a line in which a logger wrote JSON or logfmt. It is false
// for lines that are neither, and for those that have neither a level nor a
// message: data, not a record. Level is then still the one that a plain line
// shows, if any. Escape sequences of terminals are to be taken off before.
func ParseRecord(line []byte) (Record, bool) {
	text := bytes.TrimSpace(line)
	var r Record
	ok := false
	switch {
	case len(text) > 1 && text[0] == '{' && text[len(text)-1] == '}':
		ok = r.json(text)
	case bytes.IndexByte(text, '=') > 0:
		ok = r.logfmt(string(text))
	}
	if ok && (r.Level != LevelUnknown || r.Message != "") {
		return r, true
	}
	return Record{Level: plainLevel(line)}, false
}

// json reads an object, in the order of its keys.
func (r *Record) json(text []byte) bool {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the brace
		return false
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return false
		}
		name, _ := key.(string) // keys of objects are strings
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return false
		}
		r.take(name, plainJSON(value), value)
	}
	_, err := d.Token()
	return err == nil && d.InputOffset() == int64(len(text))
}

// plainJSON returns a value as people read it.
func plainJSON(value json.RawMessage) string {
	if len(value) > 0 && value[0] == '"' {
		var s string
		if json.Unmarshal(value, &s) == nil {
			return s
		}
	}
	if bytes.ContainsAny(value, "\n\t") {
		var b bytes.Buffer
		if json.Compact(&b, value) == nil {
			return b.String()
		}
	}
	return string(value)
}

// logfmt reads key=value pairs; a value may be quoted. Words alone make it
// another kind of line, so that prose with one "=" in it is left alone.
func (r *Record) logfmt(text string) bool {
	for text != "" {
		key, rest, ok := strings.Cut(text, "=")
		if !ok || key == "" || strings.ContainsAny(key, " \t\"{}[](),:;") {
			return false
		}
		var value string
		if strings.HasPrefix(rest, `"`) {
			quoted, err := strconv.QuotedPrefix(rest)
			if err != nil {
				return false
			}
			if value, err = strconv.Unquote(quoted); err != nil {
				return false
			}
			if rest = rest[len(quoted):]; rest != "" && rest[0] != ' ' {
				return false
			}
		} else {
			value, rest, _ = strings.Cut(rest, " ")
		}
		r.take(key, value, nil)
		text = strings.TrimLeft(rest, " ")
	}
	return true
}

// take puts one value in its place. What a second one of the same meaning
// says is a field.
func (r *Record) take(key, value string, raw json.RawMessage) {
	switch strings.ToLower(strings.TrimPrefix(key, "@")) {
	case "level", "lvl", "severity", "loglevel", "levelname", "log.level", "l":
		if l := ParseLevel(value); l != LevelUnknown && r.Level == LevelUnknown {
			r.Level = l
			return
		}
	case "msg", "message", "m":
		if r.Message == "" && (raw == nil || raw[0] == '"') {
			r.Message = value
			return
		}
	case "time", "ts", "timestamp", "t", "datetime":
		if t := recordTime(value); !t.IsZero() && r.Time.IsZero() {
			r.Time = t
			return
		}
	}
	r.Fields = append(r.Fields, Field{key, value, raw})
}

// recordTime reads the times that loggers write: RFC 3339 and what is close to
// it, or seconds, milliseconds, microseconds or nanoseconds since 1970.
func recordTime(text string) time.Time {
	if n, err := strconv.ParseFloat(text, 64); err == nil {
		// The unit is the one that makes it a time between 1973 and 2286.
		for _, unit := range []time.Duration{time.Second, time.Millisecond, time.Microsecond, time.Nanosecond} {
			if seconds := n * unit.Seconds(); seconds >= 1e8 && seconds < 1e10 {
				whole, part := math.Modf(seconds)
				return time.Unix(int64(whole), int64(part*1e9)).UTC().Round(time.Microsecond) // a float has no more
			}
		}
		return time.Time{}
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999Z07:00"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05,999", "2006/01/02 15:04:05.999999999"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t
		}
	}
	return time.Time{}
}
