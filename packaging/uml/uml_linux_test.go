package uml

import (
	"path/filepath"
	"testing"
)

// hungry is a project with a service that takes more memory than it may, and
// one that takes as many processes.
const hungry = `
mkdir shop; cd shop; export STEAD_HOME=/tmp/h STEAD_ORPHAN_TTL=60s PATH=/dev/share:$PATH
cat >stead.yaml <<'END'
name: shop
services:
  hungry:
    command: tail -n 1 /dev/zero
    limits: {memory: 32Mi}
    restart: no
  many:
    command: 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1000 & done; echo all'
    shell: true
    limits: {pids: 4}
    restart: no
END
! stead up -d
stead why hungry
stead why --output json hungry
stead why many
stead events | grep exit
stead daemon stop --services
`

// TestUML proves what only a machine of one's own can: see the steps.
func TestUML(t *testing.T) {
	needed(t)
	m := &machine{share: t.TempDir()}
	root := filepath.Join("..", "..")
	build(t, "go", "build", "-buildvcs=false", "-o", m.share+"/", root+"/cmd/...", root+"/testdata/service", root+"/.ci/lab")
	build(t, "go", "test", "-c", "-o", filepath.Join(m.share, "process.test"), root+"/plugins/process")
	steps := []step{
		{"Limits", "/dev/share/process.test -test.v -test.run '^TestControllers$'", []string{"--- PASS: TestControllers"}},
		// trees where cgroup v2 is all there is; other tests do not care
		{"Trees", "/dev/share/process.test -test.v -test.run 'Tree|RuntimeKilled|Shutdown|Limits|Exits'", []string{"PASS: TestWholeTreeEnds/cgroup"}},
		{"OutOfMemoryIsExplained", hungry, []string{"stead: error: hungry failed: killed by the kernel: out of memory", "hint: give hungry more memory", `"kind":"memory"`, "Cannot fork"}},
		// the clock goes back and forth by a day
		{"ClockJumps", "/dev/share/lab chaos -bin /dev/share -mode clock -duration 15s", []string{"the clock was set", "nothing is left after the stop"}},
	}
	m.run(t, steps)
	for i, s := range steps {
		t.Run(s.name, func(t *testing.T) { m.judge(t, i, s) })
	}
}
