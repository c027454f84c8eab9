package logs

import (
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Writer adds to the log of one service. Its methods never fail: what cannot
// be written is counted and becomes a Gap.
type Writer struct{ log *log }

// Append adds output as it is. It belongs together: output of the other
// stream comes before or after it.
func (w *Writer) Append(instance runtime.InstanceID, stream runtime.Stream, data []byte) {
	w.log.append(instance, stream, data)
}

// Note adds one line by stead itself.
func (w *Writer) Note(instance runtime.InstanceID, text string) {
	line := strings.ReplaceAll(strings.TrimRight(text, "\r\n"), "\n", " ") + "\n"
	w.log.append(instance, runtime.StreamRuntime, []byte(line))
}

// Close ends one use of the Writer; with the last one its files are closed.
func (w *Writer) Close() { w.log.store.releaseWriter(w.log) }
