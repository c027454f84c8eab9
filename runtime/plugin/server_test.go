package plugin

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stead-dev/stead/runtime"
	"github.com/stead-dev/stead/runtime/runtimepb"
)

func TestLogBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []int
		var fail error
		b := &logBatch{send: func(m *runtimepb.LogsResponse) error {
			sent = append(sent, len(m.GetBlocks()))
			return fail
		}}
		block := func(n int) runtime.LogBlock { return runtime.LogBlock{Data: make([]byte, n)} }
		add := func(n int) {
			if err := b.add(block(n)); err != nil {
				t.Fatal(err)
			}
		}
		expect := func(when string, want ...int) {
			t.Helper()
			synctest.Wait()
			b.mu.Lock() // send is called with it held
			defer b.mu.Unlock()
			if len(sent) != len(want) || len(want) > 0 && sent[len(sent)-1] != want[len(want)-1] {
				t.Fatalf("%s: sent %v, want %v", when, sent, want)
			}
		}
		add(10)
		expect("at once", 1)
		add(10)
		add(10)
		expect("not at once", 1)
		time.Sleep(batchDelay)
		expect("after the delay", 1, 2)
		add(batchBytes - 1)
		expect("not full", 1, 2)
		add(1)
		expect("full", 1, 2, 2)
		time.Sleep(time.Second)
		expect("nothing left", 1, 2, 2)
		add(batchBytes)
		expect("one big", 1, 2, 2, 1)
		fail = errors.New("broken")
		add(1)
		time.Sleep(batchDelay)
		synctest.Wait()
		if err := b.add(block(1)); err != fail {
			t.Errorf("after a failed send: %v", err)
		}
		if err := b.close(); err != fail {
			t.Errorf("close: %v", err)
		}
	})
}

func TestLogBlockIsCopied(t *testing.T) {
	var got []byte
	b := &logBatch{send: func(m *runtimepb.LogsResponse) error {
		got = m.GetBlocks()[0].GetData()
		return nil
	}}
	data := []byte("abc")
	if err := b.add(runtime.LogBlock{Data: data}); err != nil {
		t.Fatal(err)
	}
	data[0] = 'X'
	if err := b.close(); err != nil || string(got) != "abc" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAttendance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		isEmpty := func(a *attendance) bool {
			synctest.Wait()
			select {
			case <-a.empty:
				return true
			default:
				return false
			}
		}
		never := newAttendance(0)
		a := newAttendance(time.Minute)
		time.Sleep(50 * time.Second)
		a.enter()
		a.enter()
		time.Sleep(time.Hour)
		a.leave()
		time.Sleep(time.Hour)
		if isEmpty(a) {
			t.Error("empty with a client")
		}
		a.leave()
		time.Sleep(time.Minute - 1)
		if isEmpty(a) {
			t.Error("empty too soon")
		}
		time.Sleep(time.Nanosecond)
		if !isEmpty(a) {
			t.Error("not empty after the time")
		}
		a.enter() // as the runtime ends
		a.leave()
		time.Sleep(time.Hour)
		if isEmpty(never) {
			t.Error("a time of 0 ended")
		}
		b := newAttendance(time.Minute)
		b.close()
		time.Sleep(time.Hour)
		if isEmpty(b) {
			t.Error("empty after close")
		}
	})
}
