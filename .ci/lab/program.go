package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// program is something to be saved: a directory of sources, and how what is
// in it is built and run. It announces itself when it listens on $PORT, and
// answers with its pid, as testdata/service does.
type program struct {
	dir   string   // of the sources
	file  string   // in dir, that is saved
	text  string   // its content, with %d for the number of the save
	build []string // nil: nothing is built
	run   []string
	saves int
}

// newText is a program that is not built: the test service, and a file that
// it does not even read.
func newText(o options, dir, notify string) (*program, error) {
	p := &program{dir: filepath.Join(dir, "src"), file: "web.txt", text: "%d\n",
		run: []string{filepath.Join(o.bin, "service"), "-listen", "-notify", notify}}
	return p, p.make(nil)
}

const moduleFile = "module example.test/web\n\ngo 1.24\n"

const moduleSource = `package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
)

const save = %d

func main() {
	l, err := net.Listen("tcp", "127.0.0.1:"+os.Getenv("PORT"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(71)
	}
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid(), save) })
	if c, err := net.Dial("unixgram", os.Args[1]); err == nil {
		fmt.Fprint(c, os.Getpid())
		c.Close()
	}
	fmt.Fprintln(os.Stderr, http.Serve(l, nil))
}
`

// newModule is a small Go service that uses the standard library only.
func newModule(_ options, dir, notify string) (*program, error) {
	out := filepath.Join(dir, "out", "web")
	p := &program{dir: filepath.Join(dir, "src"), file: "main.go", text: moduleSource,
		build: []string{"go", "build", "-o", out, "."}, run: []string{out, notify}}
	return p, p.make(map[string]string{"go.mod": moduleFile})
}

func (p *program) make(files map[string]string) error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return p.save()
}

// save changes the file as an editor would: a new one in its place.
func (p *program) save() error {
	p.saves++
	path := filepath.Join(p.dir, p.file)
	if err := os.WriteFile(path+"~", fmt.Appendf(nil, strings.ReplaceAll(p.text, "%d", "%[1]d"), p.saves), 0o644); err != nil {
		return err
	}
	return os.Rename(path+"~", path)
}

// shell is the program, built before, as one line for sh.
func (p *program) shell() string {
	line := "exec " + strings.Join(p.run, " ")
	if p.build != nil {
		line = strings.Join(p.build, " ") + " && " + line
	}
	return line
}

// buildByHand is the floor of a build.
func (p *program) buildByHand() error {
	cmd := exec.Command(p.build[0], p.build[1:]...)
	cmd.Dir = p.dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(p.build, " "), err, out)
	}
	return nil
}

// goCache is Go's, for a stead whose HOME is a directory of its own: builds
// are to be as warm as those by hand.
func goCache() (string, error) {
	out, err := exec.Command("go", "env", "GOCACHE").Output()
	return "GOCACHE=" + strings.TrimSpace(string(out)), err
}
