package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The full disk: the home has diskSize, and a service writes floodLines lines
// of up to 200 KB, 40 MB in all. When roomAt of them are written the disk
// grows, so that what was lost meanwhile can be told.
const (
	diskSize   = "12m"
	roomySize  = "200m"
	floodLines = 400
	roomAt     = 300
)

func diskServices(o options) func(string) string {
	return func(dir string) string {
		service, record := filepath.Join(o.bin, "service"), filepath.Join(dir, "record")
		return fmt.Sprintf("  flood:\n    command: [%q, -write, long, -every, 10ms, -most, \"%d\", -count, %q, -record, %q]\n%s",
			service, floodLines, filepath.Join(dir, "flood"), record, restarts) +
			fmt.Sprintf("  steady0:\n    command: [%q, -listen, -record, %q]\n    ports: {http: auto}\n%s", service, record, restarts) +
			fmt.Sprintf("  victim0:\n    command: [%q, -listen, -escape, -record, %q]\n    ports: {http: auto}\n%s", service, record, restarts)
	}
}

// fullDisk lets logs fill the disk. Services go on; what is dropped of their
// output is told to the byte; requests are refused, or work; and all is well
// again when there is room.
func fullDisk(o options) error {
	return inside(func() error {
		a, err := newAttack(o, diskServices(o))
		if err != nil {
			return err
		}
		if err := a.mountHome(diskSize); err != nil {
			return err
		}
		return attempt(a.stead, func() error { return a.rescue(a.fill()) })
	})
}

func (a *attack) fill() error {
	if err := a.begin(1); err != nil {
		return err
	}
	load := startLoad(map[string]string{"steady0": a.urls["steady0"]})
	err := a.whileFull()
	if err == nil {
		err = a.resizeHome(roomySize)
	}
	if err == nil {
		err = a.flooded(floodLines)
	}
	if err == nil {
		err = a.settle(a.model)
	}
	if err = errors.Join(err, load.end()); err != nil {
		return err
	}
	if err := errors.Join(a.auditSteady(), a.orphans()); err != nil {
		return err
	}
	owner, err := a.owner()
	if err != nil {
		return err
	}
	if _, err := a.call(patience, "down"); err != nil {
		return err
	}
	return errors.Join(a.auditExits(), a.auditGap(owner), a.finish())
}

// whileFull does to stead what may be done with a full disk. Calls may be
// refused, but must end, and say why.
func (a *attack) whileFull() error {
	if err := a.full(); err != nil {
		return err
	}
	refused := 0
	for i := 0; a.number("flood") < roomAt; i++ {
		a.exit("victim0", 1+i%60)
		a.abrupt++
		_, err := a.call(patience, "restart", "victim0")
		switch {
		case err == nil:
		case errors.Is(err, errHangs):
			return err
		case !strings.Contains(err.Error(), "no space left"):
			return fmt.Errorf("with a full disk, this is no explanation: %w", err)
		default:
			refused++
		}
		if i%3 == 1 {
			a.killDaemon()
			if err := a.start(); err != nil {
				return err
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	fmt.Printf("with a full disk %d calls were refused, with the reason\n", refused)
	return nil
}

// full waits until nothing can be written.
func (a *attack) full() error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		var disk syscall.Statfs_t
		if err := syscall.Statfs(a.home(), &disk); err != nil {
			return err
		}
		if disk.Bavail == 0 {
			return nil
		}
	}
	return errors.New("the disk does not fill")
}

// number is the last line that a service has noted.
func (s *stead) number(service string) int {
	text, _ := os.ReadFile(filepath.Join(s.dir, service))
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// flooded waits until so many lines are written, and read.
func (a *attack) flooded(lines int) error {
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if a.number("flood") >= lines {
			time.Sleep(time.Second)
			return nil
		}
	}
	return errors.New("the flood does not end")
}

// auditGap compares what was written with what is there and what is told to
// be missing. The service was neither killed nor stopped in a line.
func (a *attack) auditGap(owner string) error {
	r := &reader{owner: owner + "/flood", prefix: "out ", fill: written("long"), instance: "1/0/1"}
	e := &reader{owner: r.owner, prefix: "err ", fill: func(int) string { return "" }, instance: r.instance}
	wrote := 0
	for n := 1; n <= floodLines; n++ {
		wrote += len(r.whole(n)) + len(e.whole(n)) + 2
	}
	kept, err := a.segments("flood")
	if err != nil {
		return err
	}
	lost, gaps := 0, 0
	err = a.lines(func(text []byte) error {
		var line logLine
		if err := json.Unmarshal(text, &line); err != nil {
			return err
		}
		if number, ok := strings.CutSuffix(line.Text, " bytes are missing here"); ok && line.Stream == "stead" {
			n, err := strconv.Atoi(number)
			lost, gaps = lost+n, gaps+1
			return err
		}
		return nil
	}, "logs", "--output", "json", "flood")
	fmt.Printf("flood wrote %d bytes: %d are there, %d are told to be missing, in %d gaps\n", wrote, len(kept), lost, gaps)
	if err == nil && (wrote != len(kept)+lost || lost == 0) {
		err = fmt.Errorf("flood wrote %d bytes; %d are there and %d are told to be missing: %d are unexplained", wrote, len(kept), lost, wrote-len(kept)-lost)
	}
	return err
}
