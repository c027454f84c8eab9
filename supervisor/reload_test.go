package supervisor

import "testing"

// TestReload tells what a save does, and what becomes of the callers.
func TestReload(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"a save starts a new one beside the old one", `
			apply web=v1[proxied]
			up web -> start web/1
			because web started
			traffic web held
			ready web/1 -> route web/1
			traffic web serving 1
			save web -> try web/2
			because web main.go changed
			ready web/2 -> route web/2, drain web/1 5s
			traffic web serving 2, drains 1
			drained web/1 -> stop web/1
			traffic web serving 2`},
		{"what nothing is routed to has nothing to drain", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			save web -> try web/2
			ready web/2 -> route web/2, stop web/1`},
		{"how a generation drains is its own, how long is the plan's", `
			apply web=v1[proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[drain:1s] -> try web/2
			ready web/2 -> route web/2, drain web/1 1s
			drained web/1 -> stop web/1
			save web -> try web/3
			ready web/3 -> route web/3, stop web/2`},
		{"a newer save kills an unready one", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			save web -> try web/2
			running web/2
			save web ; save web -> kill web/2, try web/3
			is web ready`},
		{"a newer save kills a first one as well", `
			apply web=v1
			up web -> start web/1
			running web/1
			save web -> kill web/1, start web/2
			because web main.go changed`},
		{"a newer save cancels a build", `
			apply web=v1[build]
			up web -> build web/1
			save web -> cancel web/1, build web/2`},
		{"a save that mends tries again what was found bad", `
			apply web=v1[build]
			up web -> build web/1
			built web/1 -> start web/1
			ready web/1 -> route web/1
			save web -> build web/2
			broken web/2
			why web build: a.go:1: no
			traffic web serving 1
			save web -> build web/3
			why web :
			built web/3 -> try web/3`},
		{"a save brings up what has failed, and says why it is not", `
			apply web=v1[build]
			up web -> build web/1
			traffic web held
			broken web/1
			traffic web down: a.go:1: no
			save web -> build web/2
			traffic web held
			built web/2 -> start web/2
			failed web/2
			is web failed
			save web -> build web/3`},
		{"a save brings up nothing that is down", `
			apply web=v1 api=v1[signal] db=v1
			save web api db ghost
			traffic web down: nobody has asked for it
			up web -> start web/1
			because web started
			ready web/1 -> route web/1
			down web -> unroute web, stop web/1
			save web
			stopped web/1
			save web
			is web stopped`},
		{"a save does not make one that is down run again", `
			apply job=v1[once]
			up job -> start job/1
			completed job/1
			down job
			save job
			is job completed
			up-all job`},
		{"a save leaves dependents alone, unless they asked for it", `
			apply db=v1 web=v1[with:db] api=v1[healthy:db]
			up web api -> start db/1
			ready db/1 -> route db/1, start api/1, start web/1
			ready web/1 ; ready api/1 -> route api/1, route web/1
			save db -> try db/2
			ready db/2 -> route db/2, stop db/1, try web/2
			because web db got a new generation`},
		{"restart holds the callers, and drains before it stops", `
			apply db=v1[restart,proxied,drain:3s]
			up db -> start db/1
			ready db/1 -> route db/1
			save db -> hold db, drain db/1 3s
			traffic db held, drains 1
			is db pending
			wakes in 3s
			after 3s -> stop db/1
			traffic db held
			stopped db/1 -> start db/2
			ready db/2 -> route db/2
			save db -> hold db, drain db/2 3s
			drained db/2 -> stop db/2
			stopped db/2 -> start db/3`},
		{"restart waits for a drain that takes longer than a slot is kept", `
			apply db=v1[restart,proxied,drain:60s]
			up db -> start db/1
			ready db/1 -> route db/1
			save db -> hold db, drain db/1 1m0s
			after 20s
			after 40s -> stop db/1
			stopped db/1 -> start db/2`},
		{"a save while the old one drains for a restart", `
			apply db=v1[restart,proxied]
			up db -> start db/1
			ready db/1 -> route db/1
			save db -> hold db, drain db/1 5s
			save db
			drained db/1 -> stop db/1
			stopped db/1 -> start db/3
			because db main.go changed`},
		{"a restart that fails turns the callers away, as there is no way back", `
			apply db=v1[restart,proxied]
			up db -> start db/1
			ready db/1 -> route db/1
			save db -> hold db, drain db/1 5s
			drained db/1 -> stop db/1
			stopped db/1 -> start db/2
			backoff db/2
			traffic db held: exit code 3
			failed db/2 -> unroute db
			traffic db down: exit code 3
			save db -> start db/3
			traffic db held`},
		{"a restart cuts what drains already", `
			apply db=v1[proxied]
			up db -> start db/1
			ready db/1 -> route db/1
			save db -> try db/2
			ready db/2 -> route db/2, drain db/1 5s
			apply db=v1[proxied,restart]
			save db -> hold db, stop db/1, drain db/2 5s`},
		{"a signal tells what runs, without a new one", `
			apply web=v1[signal]
			up web -> start web/1
			ready web/1 -> route web/1
			save web -> HUP web/1
			save web ; save web -> HUP web/1
			because web started
			unready web/1
			save web -> HUP web/1
			backoff web/1
			save web -> hold web, stop web/1
			because web main.go changed
			stopped web/1 -> start web/2`},
		{"a signal is not for one that starts: it may have read the old files", `
			apply web=v1[signal]
			up web -> start web/1
			running web/1
			save web -> kill web/1
			stopped web/1 -> start web/2`},
		{"a signal is not for one that failed, nor beside a rejected one", `
			apply web=v1[signal]
			up web -> start web/1
			failed web/1
			save web -> start web/2
			ready web/2 -> route web/2
			apply web=v2[build,signal] -> build web/3
			broken web/3
			why web build: a.go:1: no
			save web -> build web/4`},
		{"only what is said to overlap does", `
			apply web=v1[none] api=v1[signal]
			up web api -> start api/1, start web/1
			ready web/1 ; ready api/1 -> route api/1, route web/1
			restart web -> hold web, stop web/1
			apply web=v1[none] api=v2[signal] -> hold api, stop api/1`},
		{"the dead are not drained", `
			apply web=v1[proxied] api=v1[proxied,restart]
			up web api -> start api/1, start web/1
			ready web/1 ; ready api/1 -> route api/1, route web/1
			backoff web/1 ; backoff api/1
			save web api -> hold api, stop api/1, try web/2
			ready web/2 -> route web/2, stop web/1`},
		{"a signal is given when the runtime is back", `
			apply web=v1[signal]
			up web -> start web/1
			ready web/1 -> route web/1
			detach
			save web
			crash
			attach ; ready web/1 ; sync -> HUP web/1, route web/1
			attach ; ready web/1 ; sync -> route web/1`},
		{"a signal comes too late when more than that is due", `
			apply web=v1[signal]
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2[signal] ; save web -> hold web, stop web/1
			stopped web/1 -> start web/2
			ready web/2 -> route web/2
			detach
			save web
			apply web=v2
			attach ; ready web/2 ; sync -> route web/2, try web/3`},
		{"a signal is owed to nobody who is down", `
			apply web=v1[signal]
			up web -> start web/1
			ready web/1 -> route web/1
			save web ; down web -> unroute web, stop web/1
			stopped web/1
			up web -> start web/2
			ready web/2 -> route web/2`},
		{"none does nothing, also when it has failed", `
			apply web=v1[none]
			up web -> start web/1
			save web
			failed web/1
			save web
			is web failed`},
		{"a one-shot runs again, one that runs is replaced", `
			apply gen=v1[once]
			up gen -> start gen/1
			completed gen/1
			save gen -> start gen/2
			because gen main.go changed
			running gen/2
			save gen -> kill gen/2
			stopped gen/2 -> start gen/3
			traffic gen down: it serves nobody: it runs once and ends`},
		{"what was taken over has no files that anybody knows", `
			lose
			attach ; stranger web/7 v1 ; ready web/7 ; sync -> route web/7
			save web
			because web it was found running`},
		{"why a generation was made", `
			apply web=v1 job=v1[once]
			up web job -> start job/1, start web/1
			because web started
			ready web/1 ; completed job/1 -> route web/1
			up job -> start job/2
			because job asked for
			apply web=v2 job=v1[once] -> try web/2
			because web the manifest changed
			failed web/2
			up web -> try web/3
			because web asked for
			ready web/3 -> route web/3, stop web/1
			stopped web/1
			restart web -> try web/4
			because web asked for
			ready web/4 -> route web/4, stop web/3
			stopped web/3
			lost web/4 -> hold web, start web/5
			because web the runtime died
			ready web/5 -> route web/5
			save web ; lost web/5 -> hold web, start web/6
			because web main.go changed
			ready web/6 -> route web/6
			stopping web/6 -> hold web, start web/7
			because web it was stopped by somebody else
			crash
			because web it was stopped by somebody else
			reboot
			keep job
			attach ; sync -> start job/3, unroute web
			because job started`},
		{"a stranger's reason", `
			apply web=v1
			attach
			up web ; stranger web/7 v1
			sync -> unroute web
			because web it was found running`},
		{"callers wait for what comes back soon, and not for what does not", `
			apply web=v1[x2,proxied]
			up web -> start web/1
			ready web/1 -> route web/1
			traffic web serving 1 x2
			unready web/1
			is web unready
			traffic web serving 1
			exited web/1 1
			traffic web held 1: exit code 3
			wait web/1 10s
			traffic web held 1: exit code 3
			wait web/1 11s
			traffic web down 1: exit code 3
			save web -> try web/2
			traffic web held 1: exit code 3`},
		{"callers wait for the old one, when the new one is no good", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			apply web=v2 -> try web/2
			failed web/2
			wait web/1 1s ; exited web/1
			traffic web held 1`},
		{"how long a restart is away is asked of each wait", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			backoff web/1
			wait web/1 20s
			traffic web down 1: exit code 3
			after 15s
			wait web/1 6s
			traffic web held 1: exit code 3`},
		{"what the gateway does may change without a new generation", `
			apply web=v1 api=v1[signal]
			up web api -> start api/1, start web/1
			ready web/1 ; ready api/1 -> route api/1, route web/1
			apply web=v1[proxied] api=v1
			save web api -> try api/2, try web/2
			ready web/2 ; ready api/2 -> route api/2, stop api/1, route web/2, drain web/1 5s`},
		{"callers do not wait for what waits for the user", `
			apply web=v1[healthy:db] db=v1
			up web -> start db/1
			traffic web held
			failed db/1
			traffic web down: db failed
			down db
			traffic web down: db is down
			up db -> start db/2
			traffic web held`},
		{"callers do not wait for what has ended", `
			apply web=v1
			up web -> start web/1
			ready web/1 -> route web/1
			completed web/1 -> unroute web
			traffic web down: it has ended`},
		{"callers are served until the dependents are down", `
			apply web=v1[healthy:db] db=v1
			up web -> start db/1
			ready db/1 -> route db/1, start web/1
			ready web/1 -> route web/1
			down web db -> unroute web, stop web/1
			traffic db serving 1
			stopped web/1 -> unroute db, stop db/1
			traffic db down: nobody has asked for it`},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, 2, c.text) })
	}
}

// TestSleep tells of services on demand.
func TestSleep(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"up has it wait for its first caller", `
			apply web=v1[lazy]
			call web
			up web -> hold web
			is web stopped
			why web asleep: starts on the first connection
			traffic web held: starts on the first connection
			call web -> start web/1
			because web somebody connected
			traffic web held
			call web
			ready web/1 -> route web/1
			idle web -> hold web, stop web/1
			is web stopping
			stopped web/1
			is web stopped
			call web -> start web/2
			down web -> unroute web, stop web/2
			stopped web/2
			call web
			up web -> hold web`},
		{"what it depends on comes along, and goes along, in order", `
			apply web=v1[lazy,healthy:api] api=v1[lazy,healthy:db] db=v1[lazy]
			up web -> hold db, hold api, hold web
			call web -> start db/1
			because db web needs it
			ready db/1 -> route db/1, start api/1
			ready api/1 -> route api/1, start web/1
			ready web/1 -> route web/1
			idle api
			idle web -> hold web, stop web/1
			traffic db serving 1
			stopped web/1 -> hold api, stop api/1
			stopped api/1 -> hold db, stop db/1
			stopped db/1
			is db stopped, api stopped, web stopped`},
		{"what a service depends on that is up does not sleep", `
			apply web=v1[healthy:db] db=v1[lazy]
			up web -> start db/1
			ready db/1 -> route db/1, start web/1
			ready web/1 -> route web/1
			because db started
			idle db
			call db
			idle db
			apply web=v1[healthy:db] db=v1[lazy,drain:1s]
			down web -> unroute web, stop web/1
			traffic db serving 1
			stopped web/1 -> hold db, stop db/1`},
		{"who is called as well stays awake when its dependent goes", `
			apply web=v1[healthy:db] db=v1[lazy]
			up web -> start db/1
			ready db/1 -> route db/1, start web/1
			call db
			down web -> stop web/1
			stopped web/1
			is db ready
			idle db -> hold db, stop db/1`},
		{"a dependency that is no longer one lets it sleep", `
			apply web=v1[healthy:db] db=v1[lazy]
			up web -> start db/1
			ready db/1 -> route db/1, start web/1
			apply web=v1 db=v1[lazy] -> hold db, stop db/1
			stopped db/1
			apply web=v1[healthy:db] db=v1[lazy] -> start db/2
			because db web needs it`},
		{"a one-shot that has completed needs nothing", `
			apply job=v1[once,healthy:db] db=v1[lazy]
			up job -> start db/1
			ready db/1 -> route db/1, start job/1
			completed job/1 -> hold db, stop db/1
			stopped db/1
			save job -> start db/2
			ready db/2 -> route db/2, start job/2`},
		{"a one-shot is never on demand", `
			apply job=v1[once,lazy]
			up job -> start job/1`},
		{"it drains before it sleeps, and a call starts a new one", `
			apply web=v1[lazy,proxied]
			up web -> hold web
			call web -> start web/1
			ready web/1 -> route web/1
			idle web -> hold web, drain web/1 5s
			traffic web held, drains 1: starts on the first connection
			is web stopping
			wakes in 5s
			call web -> start web/2
			traffic web held, drains 1
			ready web/2 -> route web/2
			traffic web serving 2, drains 1
			idle web -> hold web, stop web/1, drain web/2 5s
			after 5s -> stop web/2`},
		{"it drains to sleep alone: what may not overlap waits", `
			apply db=v1[lazy,proxied,restart]
			up db -> hold db
			call db -> start db/1
			ready db/1 -> route db/1
			idle db -> hold db, drain db/1 5s
			call db
			drained db/1 -> stop db/1
			stopped db/1 -> start db/2`},
		{"a call and idle at once, and a stale idle", `
			apply web=v1[lazy]
			up web -> hold web
			idle web
			call web -> start web/1
			idle web
			ready web/1 -> route web/1
			idle web ; call web
			is web ready
			restart web -> try web/2
			idle web -> hold web, stop web/1, stop web/2`},
		{"asleep, a save and a manifest change nothing", `
			apply web=v1[lazy] api=v1[lazy,signal]
			up web api -> hold api, hold web
			save web api
			apply web=v2[lazy] api=v1[lazy,signal]
			is web stopped
			call web api -> start api/1, start web/1
			ready api/1 -> route api/1`},
		{"asleep, a restart wakes it", `
			apply web=v1[lazy]
			up web -> hold web
			restart web -> start web/1
			because web asked for
			ready web/1 -> route web/1
			idle web -> hold web, stop web/1`},
		{"one that failed sleeps it off", `
			apply web=v1[lazy]
			up web -> hold web
			call web -> start web/1
			failed web/1 -> unroute web
			traffic web down: it has ended
			call web
			idle web -> hold web
			traffic web held: starts on the first connection
			call web -> start web/2`},
		{"it sleeps and wakes over the end of the daemon", `
			apply web=v1[lazy] api=v1[lazy]
			up web api -> hold api, hold web
			call web -> start web/1
			ready web/1 -> route web/1
			crash
			attach ; ready web/1 ; sync -> hold api, route web/1
			is web ready, api stopped
			reboot
			up web
			attach ; sync -> unroute api, hold web
			crash
			attach ; stranger web/7 v1 ; ready web/7 ; sync -> unroute api, route web/7
			because web it was found running
			idle web -> hold web, stop web/7`},
		{"what runs when it comes to be on demand is awake", `
			apply web=v1 api=v1
			up web api -> start api/1, start web/1
			ready web/1 ; failed api/1 -> route web/1
			apply web=v1[lazy] api=v1[lazy] -> hold api
			is web ready, api stopped
			idle web -> hold web, stop web/1
			stopped web/1
			apply web=v1 api=v1[lazy] -> start web/2`},
		{"what was taken over is awake", `
			lose
			attach ; stranger web/7 v1 ; ready web/7 ; sync -> route web/7
			apply web=v1[lazy]
			is web ready
			idle web -> hold web, stop web/7`},
		{"a call comes first where slots are given", `
			apply a=v1 b=v1 c=v1 d=v1[lazy]
			up a b c d -> hold d, start a/1, start b/1
			call d
			ready a/1 -> route a/1, start d/1`},
	} {
		t.Run(c.name, func(t *testing.T) { tell(t, 2, c.text) })
	}
}
