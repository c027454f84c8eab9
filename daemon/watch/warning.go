package watch

import "fmt"

// Trouble is a class of warnings.
type Trouble int

const (
	Vanished   Trouble = iota // a root is not there; it is watched again when it is back
	Returned                  // it is
	Unreadable                // a directory cannot be read
	Limited                   // the system gives no more watches; the rest is polled
	NoEvents                  // the file system has no events; it is polled
	Polled                    // a root is polled, as was asked for
	OwnOutput                 // a path is written by what its changes reload; it is suspended
	Resumed                   // it is heeded again
)

// Warning is something a user should know: what happened, and what to do.
type Warning struct {
	Project string
	Path    string
	Trouble Trouble
	Text    string
	Hint    string // may be empty
}

func vanished(project, path string) Warning {
	return Warning{project, path, Vanished, fmt.Sprintf("cannot watch %s: it does not exist", path), "it is watched as soon as it is there; if it was renamed, change `watch` in stead.yaml"}
}

func returned(project, path string) Warning {
	return Warning{Project: project, Path: path, Trouble: Returned, Text: fmt.Sprintf("%s is there, and watched again", path)}
}

func unreadable(project, path string, err error) Warning {
	return Warning{project, path, Unreadable, fmt.Sprintf("cannot watch %s: %v", path, err), "give your user the right to read it, or ignore it (`watch: {ignore: [...]}` or .steadignore)"}
}

func ownOutput(project, path, who string) Warning {
	text := fmt.Sprintf("%s changes whenever the project is reloaded; its changes are not heeded until it changes on its own", path)
	if who != "" {
		text = fmt.Sprintf("%s is kept open for writing by %s, and changes again and again; its changes are not heeded while that is so", path, who)
	}
	return Warning{project, path, OwnOutput, text, "when it is output of a service or a build, add it to .steadignore or `watch: {ignore: [...]}`"}
}

func resumed(project, path string) Warning {
	return Warning{Project: project, Path: path, Trouble: Resumed, Text: fmt.Sprintf("%s changed on its own; its changes are heeded again", path)}
}

// maxWarnings wait for a reader.
const maxWarnings = 256

// queue of warnings: bounded, the oldest goes first, and nothing twice in a row
// that still waits.
type queue []Warning

func (q *queue) add(warnings ...Warning) {
	for _, w := range warnings {
		again := false
		for _, waiting := range *q {
			again = again || waiting == w
		}
		if !again {
			*q = append(*q, w)
		}
	}
	if n := len(*q) - maxWarnings; n > 0 {
		*q = (*q)[n:]
	}
}
