package process

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// A new runtime ends what a killed one left, and says what was lost.
func TestRuntimeKilled(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.name, func(t *testing.T) {
			dir := t.TempDir()
			exe, err := os.Executable()
			if err != nil {
				t.Fatal(err)
			}
			old, err := syscall.ForkExec(exe, []string{"spine"}, &syscall.ProcAttr{
				Env: []string{"HELPER=spine:" + dir, fmt.Sprint("WITHOUT=", mode.without)}, Files: []uintptr{0, 1, 2},
			})
			if err != nil {
				t.Fatal(err)
			}
			finder := &bench{t: t}
			pids := []int{finder.pid(dir + "/plain"), finder.pid(dir + "/hidden")}
			recorded := filepath.Join(dir, "runtime", recordsName)
			for range 200 {
				if g := readRecords(recorded).index[lostID(2)]; g != nil && g.End != nil {
					break
				}
				time.Sleep(5 * time.Millisecond)
			}
			if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if _, err := syscall.Wait4(old, nil, 0, nil); err != nil {
				t.Fatal(err)
			}

			b := start(t, Options{Dir: filepath.Join(dir, "runtime"), DisableCgroups: mode.without})
			for _, pid := range pids {
				if s, ok := readStat(pid); ok && s.state != 'Z' {
					t.Errorf("process %d of the old runtime still runs", pid)
				}
			}
			b.checkLost(t)
			b.Close()
			// It is told again until it is acknowledged.
			b = start(t, Options{Dir: filepath.Join(dir, "runtime"), DisableCgroups: mode.without})
			sequence := b.checkLost(t)
			if err := b.Forget(context.Background(), sequence); err != nil {
				t.Fatal(err)
			}
			if left := readRecords(recorded).generations; len(left) != 0 {
				t.Errorf("%d generations are still recorded", len(left))
			}
		})
	}
}

func lostID(i int) runtime.ID {
	return runtime.ID{Environment: "local", Project: "p", Service: fmt.Sprint("s", i), Number: 7}
}

func (b *bench) checkLost(t *testing.T) uint64 {
	t.Helper()
	exits := map[runtime.ID]runtime.Exit{}
	ends := map[runtime.ID]runtime.GenerationStatus{}
	synced := b.until("synced", func(e runtime.Event) bool {
		switch e.Kind {
		case runtime.ExitedEvent:
			exits[e.ID] = *e.Exit
		case runtime.GenerationEvent:
			ends[e.ID] = *e.Generation
		}
		return e.Kind == runtime.SyncedEvent
	})
	for i := range 3 {
		id := lostID(i)
		wasLost := i < 2
		if e := exits[id]; e.Lost != wasLost || !wasLost && e.Code != 4 {
			t.Errorf("%s: exit %+v", id, e)
		}
		if g := ends[id]; g.Phase != runtime.GenerationFailed || g.Lost != wasLost || g.Hash == "" {
			t.Errorf("%s: status %+v", id, g)
		}
	}
	return synced.Sequence
}

// Where the rlimit may not be raised, STEAD_ID and the session still tell.
func TestTreeEndsWithoutMarks(t *testing.T) {
	b := start(t, Options{DisableCgroups: true}).synced()
	b.children.mu.Lock()
	b.children.marker.max = 0
	b.children.mu.Unlock()
	file := filepath.Join(t.TempDir(), "pid")
	id := b.start(b.spec("detached:ignore-term+note:" + file + "+block block"))
	pid := b.pid(file)
	if readMark(pid)>>markShift == b.children.marker.prefix>>markShift {
		t.Fatal("it has a mark")
	}
	b.stop(id, runtime.StopRequest{})
	if e := b.untilKind(id, runtime.ExitedEvent); e.Exit.Leftovers != 1 || alive(pid) {
		t.Errorf("exit %+v, process %d alive: %t", e.Exit, pid, alive(pid))
	}
	b.untilFinal(id)
}
