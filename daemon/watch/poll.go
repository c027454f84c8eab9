package watch

import (
	"hash/maphash"
	"os"
	"path/filepath"
	goruntime "runtime"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// pollShare is what polling may take: one part in fifty of a core.
const (
	pollShare = 50
	pollMax   = 30 * time.Second
)

// poller finds by looking what others are told, and puts it in the same inbox.
// It is slow file systems that are polled, so it has a goroutine of its own.
type poller struct {
	every time.Duration
	inbox *inbox
	wake  chan struct{} // has room for one: the first directory came

	mu   sync.Mutex
	dirs map[string]glance
}

// glance is what a directory looked like: a sum per name.
type glance map[string]uint64

func newPoller(every time.Duration, inbox *inbox) *poller {
	return &poller{every: every, inbox: inbox, wake: make(chan struct{}, 1), dirs: make(map[string]glance)}
}

// add looks at once: the caller reads the directory after that, so that no
// change falls in between.
func (p *poller) add(dir string) {
	seen := glanceAt(dir)
	p.mu.Lock()
	p.dirs[dir] = seen
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *poller) remove(dir string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.dirs, dir)
}

func (p *poller) run(stop <-chan struct{}) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		goruntime.LockOSThread() // its time is measured
		began, used := time.Now(), threadTime()
		dirs := p.look(stop)
		took, used := time.Since(began), threadTime()-used
		goruntime.UnlockOSThread()
		if dirs == 0 {
			select {
			case <-stop:
				return
			case <-p.wake:
			}
		}
		// Of a slow server, or a busy machine, no more than half of its time is taken.
		timer.Reset(max(p.every, min(pollMax, max(took, pollShare*used))))
	}
}

// look returns how many directories there are.
func (p *poller) look(stop <-chan struct{}) int {
	p.mu.Lock()
	dirs := make([]string, 0, len(p.dirs))
	for dir := range p.dirs {
		dirs = append(dirs, dir)
	}
	p.mu.Unlock()
	for _, dir := range dirs {
		select {
		case <-stop:
			return 0
		default:
		}
		p.compare(dir, glanceAt(dir))
	}
	return len(dirs)
}

func (p *poller) compare(dir string, now glance) {
	p.mu.Lock()
	before, wanted := p.dirs[dir]
	if wanted {
		p.dirs[dir] = now
	}
	p.mu.Unlock()
	if !wanted {
		return
	}
	if now == nil && before != nil {
		p.inbox.put(event{dir, fsnotify.Remove})
	}
	for name, sum := range now {
		if was, ok := before[name]; !ok || was != sum {
			p.inbox.put(event{filepath.Join(dir, name), fsnotify.Create})
		}
	}
	for name := range before {
		if _, ok := now[name]; !ok {
			p.inbox.put(event{filepath.Join(dir, name), fsnotify.Remove})
		}
	}
}

// glanceAt is nil when there is nothing to read.
func glanceAt(dir string) glance {
	entries, err := os.ReadDir(dir)
	if err != nil && len(entries) == 0 {
		return nil
	}
	seen := make(glance, len(entries))
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		info, err := os.Lstat(path)
		if err != nil {
			continue
		}
		sum := infoSum(info)
		if info.Mode()&os.ModeSymlink != 0 {
			if target, err := os.Stat(path); err == nil {
				sum ^= infoSum(target)
			}
		}
		seen[e.Name()] = sum
	}
	return seen
}

// infoSum leaves out the mtime of directories: their own glance sees to what
// is in them.
func infoSum(info os.FileInfo) uint64 {
	if info.IsDir() {
		return maphash.Comparable(seed, identify(info))
	}
	return maphash.Comparable(seed, statOf(info))
}
