package process

import (
	"context"
	"os"
	"sync"

	"github.com/stead-dev/stead/runtime"
)

// fakeLogs keeps what services write in memory.
type fakeLogs struct {
	mu    sync.Mutex
	texts map[string]map[runtime.Stream]string
	open  int
}

func newFakeLogs() *fakeLogs {
	return &fakeLogs{texts: map[string]map[runtime.Stream]string{}}
}

func (l *fakeLogs) Writer(_, _, service string) Writer {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	return &fakeWriter{l, service}
}

func (l *fakeLogs) Read(context.Context, runtime.LogQuery, func(runtime.LogBlock) error) error {
	return nil
}

func (l *fakeLogs) text(service string, stream runtime.Stream) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.texts[service][stream]
}

type fakeWriter struct {
	logs    *fakeLogs
	service string
}

func (w *fakeWriter) Copy(src *os.File, _ runtime.InstanceID, stream runtime.Stream, tee func([]byte)) {
	block := make([]byte, 4096)
	for {
		n, err := src.Read(block)
		w.add(stream, string(block[:n]))
		if tee != nil && n > 0 {
			tee(block[:n])
		}
		if err != nil {
			return
		}
	}
}

func (w *fakeWriter) add(stream runtime.Stream, text string) {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	if w.logs.texts[w.service] == nil {
		w.logs.texts[w.service] = map[runtime.Stream]string{}
	}
	w.logs.texts[w.service][stream] += text
}

func (w *fakeWriter) Note(_ runtime.InstanceID, text string) {
	w.add(runtime.StreamRuntime, text+"\n")
}

func (w *fakeWriter) Close() {
	w.logs.mu.Lock()
	defer w.logs.mu.Unlock()
	w.logs.open--
}
