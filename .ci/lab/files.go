package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const (
	filesPerDirectory = 10
	touchedShare      = 10 // one file in so many is another one on the branch
	// quiet is how long nothing more must happen until what happened is all:
	// a storm of changes waits for a second at most.
	quiet = 3 * time.Second
)

// tree is a repository with many files, and a stead that watches them.
type tree struct {
	*stead
	told *announcements
	port int
}

func newTree(o options, watch string) (*tree, error) {
	t := &tree{}
	var err error
	if t.told, err = listen(); err != nil {
		return nil, err
	}
	ports, err := freePorts(1)
	if err != nil {
		return nil, err
	}
	t.port = ports[0]
	t.stead, err = newStead(o, fmt.Sprintf("name: bench\nservices:\n  web:\n    command: [%q, -listen, -notify, %q]\n    ports: {http: %d}\n    watch: %s\n",
		filepath.Join(o.bin, "service"), t.told.path, t.port, watch))
	return t, err
}

func (t *tree) end() {
	_, _, _ = t.stead.end()
	t.told.close()
}

func (t *tree) file(n int) string {
	directory := n / filesPerDirectory
	return filepath.Join(t.dir, "tree", "d"+strconv.Itoa(directory/100), "d"+strconv.Itoa(directory%100), "f"+strconv.Itoa(n%filesPerDirectory)+".txt")
}

// plant makes the files, committed on the branch main, and the branch other,
// on which a part of them has another content.
func (t *tree) plant(files int) error {
	for n := range files {
		if err := os.MkdirAll(filepath.Dir(t.file(n)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(t.file(n), []byte("one\n"), 0o644); err != nil {
			return err
		}
	}
	if err := t.git("init", "-q", "-b", "main"); err != nil {
		return err
	}
	if err := t.commit("one"); err != nil {
		return err
	}
	if err := t.git("checkout", "-q", "-b", "other"); err != nil {
		return err
	}
	for n := 0; n < files; n += touchedShare {
		if err := os.WriteFile(t.file(n), []byte("other\n"), 0o644); err != nil {
			return err
		}
	}
	if err := t.commit("other"); err != nil {
		return err
	}
	return t.git("checkout", "-q", "main")
}

func (t *tree) commit(message string) error {
	if err := t.git("add", "tree"); err != nil {
		return err
	}
	return t.git("-c", "user.name=lab", "-c", "user.email=lab@example.test", "commit", "-q", "-m", message)
}

func (t *tree) git(args ...string) error {
	cmd := exec.Command("git", args...)
	cmd.Dir = t.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// watches counts the inotify watches of a process (proc_pid_fdinfo(5)).
func watches(pid int) int {
	n := 0
	files, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/fdinfo/*")
	for _, file := range files {
		text, _ := os.ReadFile(file)
		n += strings.Count(string(text), "inotify wd:")
	}
	return n
}

// generations returns the numbers of the newest ones, by service: of those
// that are still built, too.
func (s *stead) generations() (map[string]int, error) {
	var status struct {
		Services []struct {
			Name       string
			Generation int
			Next       int `json:"next_generation"` // one that is to replace it
		}
	}
	if err := s.ask(&status, "status", "--output", "json"); err != nil {
		return nil, err
	}
	numbers := map[string]int{}
	for _, one := range status.Services {
		numbers[one.Name] = max(one.Generation, one.Next)
	}
	return numbers, nil
}

// files: fifty thousand files watched: what that costs, when it begins, and a
// checkout of a branch that touches a tenth of them.
func files(o options, v *verdicts) error {
	empty, err := newTree(o, "none")
	if err != nil {
		return err
	}
	defer empty.end()
	if _, err := empty.run("up", "-d"); err != nil {
		return err
	}
	t, err := newTree(o, "[tree]")
	if err != nil {
		return err
	}
	defer t.end()
	if err := t.plant(o.files); err != nil {
		return err
	}
	if err := t.startsWatching(o.files, v); err != nil {
		return err
	}
	if err := t.reloadsOnce("a save", func() error { return os.WriteFile(t.file(o.files/2), []byte("two\n"), 0o644) }, v); err != nil {
		return err
	}
	if err := t.git("checkout", "-q", "--", "tree"); err != nil { // is a save as well
		return err
	}
	if err := t.told.wait(1, time.Minute); err != nil {
		return err
	}
	if err := t.weigh(empty, "watching", v); err != nil {
		return err
	}
	what := fmt.Sprintf("a checkout that touches %d files", o.files/touchedShare)
	if err := t.reloadsOnce(what, func() error { return t.git("checkout", "-q", "other") }, v); err != nil {
		return err
	}
	return t.weigh(empty, "after the checkout", v)
}

// startsWatching waits until there is a watch on each directory. A save that
// comes sooner is not lost, but found by its time: it would not tell.
func (t *tree) startsWatching(files int, v *verdicts) error {
	began := time.Now()
	if _, err := t.run("up", "-d"); err != nil {
		return err
	}
	up := time.Since(began)
	pids, err := t.pids()
	if err != nil {
		return err
	}
	want := files / filesPerDirectory
	want += want / 100 // and the directories that these are in
	for watches(pids[0]) < want {
		if time.Since(began) > time.Minute {
			return fmt.Errorf("%d of %d directories are watched after a minute: is fs.inotify.max_user_watches too small?", watches(pids[0]), want)
		}
		time.Sleep(5 * time.Millisecond)
	}
	watching := time.Since(began)
	fmt.Printf("%d files, %d directories\n  up took %s, all are watched %s after its begin\n", files, want, ms(up), ms(watching))
	v.check("watching within 2 s of up", watching-up <= 2*time.Second)
	return t.told.wait(1, time.Minute)
}

// reloadsOnce does something, and looks how many generations that makes.
func (t *tree) reloadsOnce(what string, do func() error, v *verdicts) error {
	before, err := t.generations()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := do(); err != nil {
		return err
	}
	did := time.Since(began)
	if err := t.told.wait(1, time.Minute); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	took := time.Since(began)
	time.Sleep(quiet)
	t.told.forget()
	after, err := t.generations()
	if err != nil {
		return err
	}
	fmt.Printf("  %s took %s, the new process listened %s after its begin\n", what, ms(did), ms(took))
	v.check(fmt.Sprintf("%s: one reload (%d)", what, after["web"]-before["web"]), after["web"] == before["web"]+1)
	return nil
}

// weigh compares the daemon's memory with that of one that watches nothing.
func (t *tree) weigh(empty *tree, when string, v *verdicts) error {
	ours, err := t.pids()
	if err != nil {
		return err
	}
	theirs, err := empty.pids()
	if err != nil {
		return err
	}
	more := (pss(ours[:1]) - pss(theirs[:1])) * 1024
	v.check(fmt.Sprintf("%s: < 60 MB over an empty daemon (%.1f MB)", when, float64(more)/1e6), float64(more) < 60e6)
	return nil
}
