package main

// The keys that detach from a terminal: Ctrl-] alone, as in telnet, or
// Ctrl-P Ctrl-Q, as in docker.
const (
	ctrlBracket = 0x1d
	ctrlP       = 0x10
	ctrlQ       = 0x11
)

// detachKeys finds the detach keys in what is typed. A Ctrl-P is kept back
// until the key after it tells what it was meant for.
type detachKeys struct{ held bool }

// filter returns what of data goes to the other side, and whether the detach
// keys came after it.
func (k *detachKeys) filter(data []byte) (rest []byte, detach bool) {
	for _, key := range data {
		switch {
		case key == ctrlBracket, k.held && key == ctrlQ:
			return rest, true
		case k.held && key == ctrlP: // the first one was meant for the other side
			rest = append(rest, ctrlP)
			continue
		case k.held:
			rest = append(rest, ctrlP)
		}
		if k.held = key == ctrlP; !k.held {
			rest = append(rest, key)
		}
	}
	return rest, false
}
