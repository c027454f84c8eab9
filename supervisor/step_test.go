package supervisor

import (
	"encoding/json"
	"testing"
	"time"
)

func TestStep(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"a first start is no trial", `
			apply web=v1
			is web stopped
			up web -> start web/1
			is web starting
			ready web/1 -> route web/1
			is web ready`},
		{"while another decides, what is there is shown and left alone", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			observe
			stranger web/1 v1
			ready web/1
			stranger web/2 v2
			sync
			is web ready
			running web/2
			ready web/2
			stopping web/1
			stopped web/1
			is web ready
			stranger web/3 v3
			stopped web/2
			is web starting
			stopped web/3
			is web stopped`},
		{"what is there when it is taken over goes on", `
			observe
			stranger web/4 v2
			ready web/4
			sync
			attach
			ready web/4
			sync -> route web/4
			apply web=v2
			up web
			is web ready
			apply web=v3 -> try web/5`},
		{"what was wanted before another drove is not wanted any more", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			observe
			stranger web/2 v2
			ready web/2
			sync
			crash
			attach
			stranger web/2 v2
			ready web/2
			sync -> route web/2
			is web ready`},
		{"dependencies come along and first", `
			apply web=v1[healthy:db] db=v1 other=v1
			up web -> start db/1
			is web pending
			running db/1
			ready db/1 -> route db/1, start web/1
			is other stopped`},
		{"started is enough for some", `
			apply web=v1[started:db] db=v1
			up web -> start db/1
			running db/1 -> start web/1`},
		{"completed is needed by some", `
			apply web=v1[done:migrate] migrate=v1[once]
			up web -> start migrate/1
			ready migrate/1
			completed migrate/1 -> start web/1
			is migrate completed`},
		{"a dependency that failed is named, however far away", `
			apply web=v1[healthy:api] api=v1[healthy:db] db=v1
			up web -> start db/1
			exited db/1
			failed db/1
			is db failed, api pending, web pending
			why api dependency: db failed: exit code 3
			why web dependency: db failed: exit code 3
			up db -> start db/2
			why web :
			ready db/2 -> route db/2, start api/1`},
		{"a dependency taken out of the manifest is named", `
			apply web=v1[healthy:db] db=v1
			up web -> start db/1
			apply web=v1[healthy:db] -> stop db/1
			why web dependency: db is not part of the project
			stopped db/1 -> drop db
			why web dependency: db is not part of the project`},
		{"want of memory is a cause of its own", `
			apply web=v1
			up web -> start web/1
			running web/1
			ready web/1 -> route web/1
			starved web/1
			why web memory: out of memory
			failed web/1 -> unroute web
			why web memory: out of memory`},
		{"a one-shot that completed is not run again", `
			apply web=v1[done:migrate] migrate=v1[once]
			up web -> start migrate/1
			completed migrate/1 -> start web/1
			up web
			up-all web migrate
			crash
			attach ; sync -> unroute web, start web/1
			down web migrate -> stop web/1
			stopped web/1
			is migrate completed
			up web -> start web/2`},
		{"a one-shot is run again when named, restarted, changed, or after a reboot", `
			apply migrate=v1[once]
			up migrate -> start migrate/1
			completed migrate/1
			up migrate -> start migrate/2
			completed migrate/2
			restart migrate -> start migrate/3
			completed migrate/3
			apply migrate=v2[once] -> start migrate/4
			completed migrate/4
			keep migrate -> start migrate/5
			completed migrate/5
			reboot
			attach ; sync -> start migrate/6`},
		{"a one-shot does not overlap itself", `
			apply migrate=v1[once]
			up migrate -> start migrate/1
			ready migrate/1
			restart migrate -> stop migrate/1
			stopped migrate/1 -> start migrate/2`},
		{"a one-shot that failed is tried again by up", `
			apply migrate=v1[once]
			up migrate -> start migrate/1
			running migrate/1
			exited migrate/1
			failed migrate/1
			is migrate failed
			why migrate exit: exit code 3
			up-all migrate -> start migrate/2`},
		{"the build comes first, also before dependencies are met", `
			apply web=v1[build,healthy:db] db=v1
			up web -> build web/1, start db/1
			is web building
			built web/1
			is web pending
			ready db/1 -> route db/1, start web/1`},
		{"a broken build leaves the old one alone", `
			apply web=v1[build]
			up web -> build web/1
			built web/1 -> start web/1
			ready web/1 -> route web/1
			apply web=v2[build] -> build web/2
			broken web/2
			is web ready
			why web build: a.go:1: no
			apply web=v2[build]
			apply web=v3[build] -> build web/3
			built web/3 -> try web/3`},
		{"a first build that is broken fails the service", `
			apply web=v1[build]
			up web -> build web/1
			broken web/1
			is web failed
			apply web=v1[build]
			up web -> build web/2`},
		{"a newer revision cancels a build", `
			apply web=v1[build]
			up web -> build web/1
			apply web=v2[build] -> cancel web/1, build web/2
			built web/1
			built web/2 -> start web/2`},
		{"roll-out by overlap", `
			apply web=v1[drain:3s,proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[drain:3s,proxied] -> try web/2
			running web/2
			ready web/2 -> route web/2, drain web/1 3s
			wakes in 3s
			is web ready
			after 2s
			after 1s -> stop web/1
			stopped web/1
			is web ready`},
		{"all replicas must be ready at once", `
			apply web=v1[x2]
			up web -> start web/1
			running web/1
			exited web/1
			again web/1
			is web starting
			ready web/1 -> route web/1`},
		{"a drained one is stopped early", `
			apply web=v1[proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			drained web/1
			apply web=v2[proxied] -> try web/2
			ready web/2 -> route web/2, drain web/1 5s
			drained web/1 -> stop web/1
			drained web/1`},
		{"of many that drain all but the last are hurried", `
			apply web=v1[proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[proxied] -> try web/2
			ready web/2 -> route web/2, drain web/1 5s
			wakes in 5s
			apply web=v3[proxied] -> try web/3
			ready web/3 -> route web/3, drain web/2 5s
			traffic web serving 3, drains 1, drains 2
			wakes in 1s
			after 1s -> stop web/1
			wakes in 4s
			drained web/2 -> stop web/2`},
		{"a hurried drain ends when it would have", `
			apply web=v1[proxied,drain:500ms]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[proxied,drain:500ms] -> try web/2
			ready web/2 -> route web/2, drain web/1 500ms
			apply web=v3[proxied,drain:500ms] -> try web/3
			ready web/3 -> route web/3, drain web/2 500ms
			wakes in 500ms`},
		{"three drain at most", `
			apply web=v1[proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[proxied] -> try web/2
			ready web/2 -> route web/2, drain web/1 5s
			apply web=v3[proxied] -> try web/3
			ready web/3 -> route web/3, drain web/2 5s
			apply web=v4[proxied] -> try web/4
			ready web/4 -> route web/4, drain web/3 5s
			apply web=v5[proxied] -> try web/5
			ready web/5 -> route web/5, stop web/1, drain web/4 5s
			traffic web serving 5, drains 2, drains 3, drains 4`},
		{"a new one that dies is rejected", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			running web/2
			exited web/2 -> kill web/2
			failed web/2
			is web ready
			why web exit: ended before it was ready: exit code 3
			apply web=v2
			up web -> try web/3
			failed web/3
			apply web=v1
			why web :
			apply web=v2 -> try web/4`},
		{"a new one that ends well before it is ready is rejected", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			completed web/2
			why web exit: it ended before it was ready`},
		{"a new one that is refused is rejected", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			refused web/2
			is web ready
			why web start: no such file`},
		{"after the route there is no way back", `
			apply web=v1[proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[proxied] -> try web/2
			ready web/2 -> route web/2, drain web/1 5s
			backoff web/2
			is web backoff
			failed web/2 -> unroute web
			is web failed
			apply web=v2[proxied]
			restart web -> start web/3`},
		{"a newer revision takes the place of an unready one", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			apply web=v3 -> kill web/2, try web/3
			apply web=v1 -> kill web/3
			is web ready`},
		{"roll-out by restart holds the traffic", `
			apply db=v1[restart]
			up db -> start db/1
			ready db/1 -> route db/1
			apply db=v2[restart] -> hold db, stop db/1
			is db pending
			stopping db/1
			stopped db/1 -> start db/2
			ready db/2 -> route db/2`},
		{"roll-out by restart builds before it holds", `
			apply db=v1[restart]
			up db -> start db/1
			ready db/1 -> route db/1
			apply db=v2[restart,build] -> build db/2
			is db ready
			built db/2 -> hold db, stop db/1
			stopped db/1 -> start db/2`},
		{"roll-out by restart waits for a killed one as well", `
			apply db=v1[restart]
			up db -> start db/1
			running db/1
			apply db=v2[restart] -> kill db/1
			stopped db/1 -> start db/2`},
		{"a restart that fails ends the holding", `
			apply db=v1[restart]
			up db -> start db/1
			ready db/1 -> route db/1
			apply db=v2[restart] -> hold db, stop db/1
			stopped db/1 -> start db/2
			failed db/2 -> unroute db
			is db failed`},
		{"the user asks for a restart", `
			apply web=v1[proxied]
			restart web -> start web/1
			ready web/1 -> route web/1
			restart web -> try web/2
			failed web/2
			is web ready
			restart web ; restart web -> try web/3
			ready web/3 -> route web/3, drain web/1 5s`},
		{"crashes are the runtime's business", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			unready web/1
			is web unready
			why web unready: 503
			backoff web/1
			is web backoff
			why web exit: exit code 3
			again web/1
			is web ready
			why web :`},
		{"what the runtime lost is started again", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			lost web/1 -> hold web, start web/2
			ready web/2 -> route web/2`},
		{"a lost one is replaced even by what was rejected", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			failed web/2
			lost web/1 -> hold web, start web/3`},
		{"the same revision changes nothing", `
			apply web=v1[proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v1[drain:1s,proxied]
			apply web=v1[drain:1s,restart,proxied]
			apply web=v1[drain:1s,proxied]
			apply web=v2[drain:1s,proxied] -> try web/2
			ready web/2 -> route web/2, drain web/1 1s`},
		{"a new dependency of something wanted comes up", `
			apply web=v1 db=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v1[healthy:db] db=v1 -> start db/1
			down db -> stop db/1
			apply web=v1[healthy:db,drain:1s] db=v1`},
		{"dependents that asked for it are restarted", `
			apply db=v1[proxied] web=v1[with:db,proxied] api=v1[healthy:db]
			up web api -> start db/1
			ready db/1 -> route db/1, start api/1, start web/1
			ready web/1 ; ready api/1 -> route api/1, route web/1
			apply db=v2[proxied] web=v1[with:db,proxied] api=v1[healthy:db] -> try db/2
			ready db/2 -> route db/2, drain db/1 5s, try web/2
			ready web/2 -> route web/2, drain web/1 5s`},
		{"the first route of a dependency restarts nobody", `
			apply web=v1[along:db] db=v1
			up web -> start db/1
			running db/1 -> start web/1
			ready db/1 -> route db/1`},
		{"what ended does not get ready", `
			apply web=v1
			up web -> start web/1
			running web/1
			exited web/1
			ready web/1
			is web starting`},
		{"how to reload may change without a new generation", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v1[restart]
			apply web=v2 -> hold web, stop web/1`},
		{"gone services are stopped and dropped", `
			apply web=v1[healthy:db] db=v1
			up web -> start db/1
			ready db/1 -> route db/1, start web/1
			apply db=v1 -> stop web/1
			is web stopping
			stopped web/1 -> drop web
			is web unknown, db ready
			apply -> unroute db, stop db/1
			stopped db/1 -> drop db`},
		{"a service that comes back goes on counting", `
			apply web=v1
			up web -> start web/1
			apply -> stop web/1
			stopped web/1 -> drop web
			apply web=v1
			up web -> start web/2`},
		{"a gone service without generations is dropped at once", `
			apply web=v1
			apply -> drop web`},
		{"down leaves others alone", `
			apply web=v1[healthy:db] db=v1
			up web -> start db/1
			ready db/1 -> route db/1, start web/1
			ready web/1 -> route web/1
			down db -> unroute db, stop db/1
			is web ready, db stopping
			stopped db/1
			is db stopped`},
		{"down goes in reverse order", `
			apply web=v1[healthy:api] api=v1[healthy:db] db=v1
			up web -> start db/1
			ready db/1 -> route db/1, start api/1
			ready api/1 -> route api/1, start web/1
			down web api db -> stop web/1
			is api stopping, db stopping
			stopping web/1
			stopped web/1 -> unroute api, stop api/1
			up web -> start api/2
			is db ready`},
		{"down drops what never started", `
			apply web=v1[build,healthy:db] db=v1
			up web -> build web/1, start db/1
			down web db -> stop db/1, cancel web/1
			is web stopped`},
		{"slots are given in dependency order, then by name", `
			apply a=v1[healthy:z] b=v1 c=v1 d=v1 z=v1
			up d c b a -> start b/1, start c/1
			ready b/1 -> route b/1, start d/1
			exited c/1 -> start z/1
			backoff d/1
			ready z/1 -> route z/1, start a/1`},
		{"the first one gets the next slot", `
			apply a=v1 b=v1 c=v1 z=v1[first]
			up a b c -> start a/1, start b/1
			up z
			ready b/1 -> route b/1, start z/1`},
		{"a slot that was given back is not taken again", `
			apply a=v1 b=v1 c=v1 d=v1
			up a b c d -> start a/1, start b/1
			exited a/1 -> start c/1
			second a/1
			ready b/1 -> route b/1, start d/1`},
		{"a slot is not kept for ever", `
			apply a=v1 b=v1 c=v1
			up a b c -> start a/1, start b/1
			wakes in 10s
			after 9s
			wakes in 1s
			after 1s -> start c/1`},
		{"nothing is decided before the runtime has told all", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			detach
			apply web=v2
			attach
			running web/1
			sync -> route web/1, try web/2`},
		{"what holds is said again", `
			apply a=v1[proxied] b=v1[build] c=v1
			up a b -> build b/1, start a/1
			ready a/1 -> route a/1
			apply a=v2[proxied] b=v1[build] c=v1 -> try a/2
			ready a/2 -> route a/2, drain a/1 5s
			attach
			ready a/1
			ready a/2
			sync -> route a/2, drain a/1 5s, unroute b, build b/1, unroute c
			after 5s -> stop a/1
			attach ; ready a/1 ; ready a/2 ; sync -> route a/2, stop a/1, unroute b, build b/1, unroute c`},
		{"the daemon crashes and nobody notices", `
			apply web=v1 db=v1
			up web db -> start db/1, start web/1
			ready web/1 ; ready db/1 -> route db/1, route web/1
			crash
			is web starting
			attach
			ready web/1
			ready db/1
			sync -> route db/1, route web/1
			is web ready, db ready`},
		{"a start that may not have arrived is repeated", `
			apply web=v1
			up web -> start web/1
			crash
			attach ; sync -> unroute web, start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			crash
			attach ; ready web/1 ; sync -> route web/1, try web/2`},
		{"what is not reported is lost", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			crash
			attach ; sync -> hold web, start web/2`},
		{"after a reboot only what is kept comes back", `
			apply web=v1 db=v1
			up web ; keep db -> start db/1, start web/1
			ready web/1 ; ready db/1 -> route db/1, route web/1
			reboot
			is web stopped, db pending
			attach ; sync -> unroute db, start db/2, unroute web
			down db -> stop db/2
			reboot
			attach ; sync -> unroute db, unroute web`},
		{"a stranger is adopted where it is wanted", `
			apply web=v1
			attach
			up web ; stranger web/7 v1
			sync -> unroute web
			ready web/7 -> route web/7
			apply web=v2 -> try web/8`},
		{"a stranger that runs something else is not adopted", `
			apply web=v1
			attach
			up web ; stranger web/7 v0
			sync -> unroute web, stop web/7, start web/8`},
		{"a stranger is stopped where it is not wanted", `
			apply web=v1
			stranger web/7 v1 -> stop web/7
			up web -> start web/8
			stranger other/3 v1 -> stop other/3
			is other stopping
			stopped other/3 -> drop other
			stopped web/7`},
		{"what runs while the memory of it is lost is taken over", `
			lose
			attach ; stranger web/7 v1 ; ready web/7 ; stranger old/3 v1 ; stranger new/3 v1 ; ready new/3
			sync -> route new/3, unroute old, route web/7
			is web ready, old starting
			crash
			attach ; ready web/7 ; stranger old/3 v1 ; ready new/3
			sync -> route new/3, unroute old, route web/7
			apply web=v1 new=v2 -> stop old/3, try new/4
			is web ready, new ready`},
		{"strangers of the present are stopped after it", `
			apply web=v1
			up web -> start web/1
			attach ; ready web/1 ; stranger web/2 v1 ; stranger old/1 v1
			sync -> unroute old, stop old/1, route web/1, stop web/2`},
		{"stale events do nothing", `
			exited web/1 ; drained web/1 ; built web/1 ; refused web/1
			apply web=v1
			exited web/1
			up web -> start web/1
			built web/1 ; drained web/1 ; exited web/9 ; failed web/9 ; sync -> unroute web, start web/1
			ready web/1 -> route web/1
			refused web/1
			is web ready
			down web -> unroute web, stop web/1
			stopped web/1
			failed web/1 ; exited web/1 ; ready web/1 -> stop web/1
			is web stopped`},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, 2, c.text) })
	}
}

func TestViews(t *testing.T) {
	s := &story{state: New(0, nil, false), now: time.Unix(1000, 0)}
	for _, line := range []string{"attach ; sync", "apply web=v1[healthy:db,done:job] db=v1 job=v1[once]", "up web"} {
		s.do(s.eventsOf(line)...)
	}
	web := func() Service { return s.state.Service(named("web")) }
	if got := s.state.WaitsFor(named("web")); len(got) != 2 || got[0].Service != "db" || got[1].Service != "job" {
		t.Errorf("waits for %v", got)
	}
	if _, ok := web().Next(); ok || web().Ready() {
		t.Error("a first generation is no successor, nor ready")
	}
	s.do(append(s.events("ready db/1"), s.events("completed job/1")...)...)
	s.do(s.events("ready web/1")...)
	if got := s.state.WaitsFor(named("web")); got != nil || !web().Ready() {
		t.Errorf("ready %v, waits for %v", web().Ready(), got)
	}
	s.do(s.events("apply web=v2 db=v1 job=v1[once]")...)
	current, _ := web().Current()
	if next, ok := web().Next(); current.Number != 1 || !ok || next.Number != 2 {
		t.Errorf("current %d, next %d", current.Number, next.Number)
	}
}

// What is remembered must not change with what instances do: the daemon
// commits whenever it does.
func TestRememberedIgnoresInstances(t *testing.T) {
	s := &story{state: New(0, nil, false), now: time.Unix(1000, 0)}
	for _, line := range []string{"attach ; sync", "apply web=v1", "up web", "ready web/1"} {
		s.do(s.eventsOf(line)...)
	}
	before := remembered(t, s.state)
	for _, line := range []string{"unready web/1", "ready web/1", "exited web/1", "backoff web/1", "again web/1", "attach", "again web/1", "sync", "detach"} {
		s.now = s.now.Add(time.Second)
		s.do(s.eventsOf(line)...)
		if after := remembered(t, s.state); after != before {
			t.Errorf("after %s:\n%s\nwas\n%s", line, after, before)
		}
	}
}

func remembered(t *testing.T, s State) string {
	t.Helper()
	text, err := json.Marshal(s.Service(named("web")).Remembered())
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
