package main

import (
	"hash/fnv"
	"os"
)

// color is an SGR parameter (ECMA-48, 8.3.117): the eight basic ones, since
// those follow the user's palette.
type color string

const (
	plain   color = ""
	dim     color = "2"
	red     color = "31"
	green   color = "32"
	yellow  color = "33"
	blue    color = "34"
	magenta color = "35"
	cyan    color = "36"
)

// paint colours text, or (false) leaves it alone.
type paint bool

// paint returns how to colour what is written to w. NO_COLOR: no-color.org.
func (c *cli) paint(w any) paint {
	_, isTerminal := terminal(w)
	return paint(isTerminal && !c.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb")
}

func (p paint) in(c color, text string) string {
	if !p || c == plain || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// phaseColor tells at a glance: green is well, yellow moves, red needs a look.
func phaseColor(phase string) color {
	switch phase {
	case "ready", "completed":
		return green
	case "failed", "backoff", "unready":
		return red
	case "stopped", "pending":
		return dim
	}
	return yellow
}

// serviceColor is the same for a service in each run. Red is left out: it
// means trouble.
func serviceColor(name string) color {
	colors := [...]color{cyan, magenta, blue, green, yellow}
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // a hash never fails
	return colors[h.Sum32()%uint32(len(colors))]
}
