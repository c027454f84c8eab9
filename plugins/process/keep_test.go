package process

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stead-dev/stead/runtime"
)

// A case is a script: "at fact" on the left, what the step decides and then
// the generation's phase on the right.
func TestKeep(t *testing.T) {
	const (
		R, B, G = "running", "backoff", "stopping"
		S, C, F = "stopped", "completed", "failed"
	)
	onFailure := runtime.Restart{Policy: runtime.RestartOnFailure, Min: 100 * time.Millisecond, Max: 400 * time.Millisecond}
	limited := onFailure
	limited.Limit, limited.Window = 2, 10*time.Second
	distant := runtime.Restart{Policy: runtime.RestartOnFailure, Min: 10 * time.Second, Max: 10 * time.Second, Limit: 1, Window: 10 * time.Second}
	probe := &runtime.Probe{Kind: runtime.ProbeTCP}
	type line struct {
		at   string
		fact string
		want string
	}
	for _, c := range []struct {
		name  string
		spec  runtime.Spec
		lines []line
	}{
		{"one-shot that works", runtime.Spec{}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"0s", "ready", R}, {"1s", "exit 0", C},
		}},
		{"one-shot that fails", runtime.Spec{}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "exit 3", F + ": exit code 3"},
		}},
		{"start that fails", runtime.Spec{}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "error gone", F + ": gone"},
		}},
		{"on-failure ends with success", runtime.Spec{Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "exit 0", C},
		}},
		{"always does not", runtime.Spec{Restart: runtime.Restart{Policy: runtime.RestartAlways}}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "exit 0", B}, {"1.2s", "timer", "start0.2 " + R},
		}},
		{"back-off doubles up to max", runtime.Spec{Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"0.099s", "timer", B}, {"0.111s", "timer", "start0.2 " + R},
			{"1s", "exit 1", B}, {"1.199s", "timer", B}, {"1.221s", "timer", "start0.3 " + R},
			{"2s", "exit 1", B}, {"2.399s", "timer", B}, {"2.441s", "timer", "start0.4 " + R},
			{"3s", "exit 1", B}, {"3.399s", "timer", B}, {"3.441s", "timer", "start0.5 " + R},
		}},
		{"ready for a second: at once, then from the beginning", runtime.Spec{Restart: onFailure, Ready: probe}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"1s", "timer", "start0.2 " + R}, {"1s", "started", R},
			{"1s", "ready", R}, {"2s", "exit 1", "start0.3 " + R}, {"2s", "exit 1", B}, {"2.221s", "timer", "start0.4 " + R},
		}},
		{"ready for less is not enough", runtime.Spec{Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "ready", R}, {"0.9s", "exit 1", B},
		}},
		{"limit", runtime.Spec{Restart: limited}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"1s", "timer", "start0.2 " + R},
			{"1s", "exit 1", B}, {"2s", "timer", "start0.3 " + R},
			{"2s", "exit 1", F + ": ended 3 times within 10s (limit 2), last: exit code 1"},
		}},
		{"limit counts the window alone", runtime.Spec{Restart: limited}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"1s", "timer", "start0.2 " + R},
			{"8s", "exit 1", B}, {"9s", "timer", "start0.3 " + R}, {"12s", "exit 1", B},
		}},
		{"limit counts the coming restart when it comes, not when it is decided", runtime.Spec{Restart: distant}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"11s", "timer", "start0.2 " + R}, {"11s", "exit 1", B},
			{"22s", "timer", "start0.3 " + R}, {"22s", "exit 1", B},
		}},
		{"liveness", runtime.Spec{Restart: onFailure, Ready: probe}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "ready", R}, {"0.5s", "sick hangs", "kill0.1(hangs) " + R},
			{"0.5s", "exit 1", B}, {"0.5s", "sick hangs", B},
		}},
		{"liveness does not hurry a stop", runtime.Spec{Stop: runtime.Stop{Grace: time.Second}, Ready: probe}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "ready", R}, {"1s", "stop", "signal0.1 " + G}, {"1s", "sick hangs", G},
		}},
		{"unready before the end: what was steady is restarted at once", runtime.Spec{Restart: onFailure, Ready: probe}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "ready", R}, {"2s", "unready 503", R}, {"3s", "exit 1", "start0.2 " + R},
			{"3s", "ready", R}, {"3.5s", "unready 503", R}, {"9s", "exit 1", B},
		}},
		{"ready again after the start deadline", runtime.Spec{Ready: probe, ReadyTimeout: time.Second}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"0.5s", "ready", R}, {"0.6s", "unready 503", R}, {"9s", "timer", R},
		}},
		{"an expected code is a success", runtime.Spec{Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "expected 143", C},
		}},
		{"trial ends before ready", runtime.Spec{Restart: onFailure, Trial: true, Ready: probe}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"1s", "exit 1", F + ": ended before it was ready: exit code 1"},
		}},
		{"trial that was ready is restarted", runtime.Spec{Restart: onFailure, Trial: true, Ready: probe}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"0s", "ready", R}, {"0.5s", "exit 1", B},
		}},
		{"ready timeout", runtime.Spec{Ready: probe, ReadyTimeout: time.Second}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"0.5s", "unready nobody there", R},
			{"1s", "timer", "look0.1 " + R}, {"1s", "free", "kill0.1(not ready within 1s: nobody there) " + R}, {"5s", "timer", R},
		}},
		{"ready timeout in a debugger: it begins anew", runtime.Spec{Ready: probe, ReadyTimeout: 5 * time.Second}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"5s", "timer", "look0.1 " + R}, {"5s", "halted", R},
			{"5.9s", "timer", R}, {"6s", "timer", "look0.1 " + R}, {"6s", "halted", R}, {"7s", "timer", "look0.1 " + R},
			{"7s", "free", R}, {"11s", "timer", R}, {"12s", "timer", "look0.1 " + R}, {"12s", "free", "kill0.1(not ready within 5s) " + R},
		}},
		{"a stop does not wait for a debugger", runtime.Spec{Ready: probe, ReadyTimeout: time.Second, Stop: runtime.Stop{Grace: time.Second}}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"1s", "timer", "look0.1 " + R}, {"1s", "stop", "signal0.1 " + G},
			{"1s", "halted", G}, {"2s", "timer", "kill0.1 " + G}, {"2s", "free", G},
		}},
		{"ready in time", runtime.Spec{Ready: probe, ReadyTimeout: time.Second}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "started", R}, {"0.5s", "ready", R}, {"1s", "timer", R},
		}},
		{"stop with grace", runtime.Spec{Stop: runtime.Stop{Grace: time.Second}}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "stop", "signal0.1 " + G}, {"1.9s", "timer", G},
			{"2s", "timer", "kill0.1 " + G}, {"2s", "exit -1", S},
		}},
		{"stop heeded", runtime.Spec{Restart: onFailure, Stop: runtime.Stop{Grace: time.Second}}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "stop", "signal0.1 " + G}, {"1s", "exit 143", S},
		}},
		{"stop without grace", runtime.Spec{}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "stop", "kill0.1 " + G},
		}},
		{"a second stop takes the shorter limit", runtime.Spec{Stop: runtime.Stop{Grace: time.Minute}}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "stop", "signal0.1 " + G}, {"2s", "stop 1s", G},
			{"2.5s", "stop 1h", G}, {"3s", "timer", "kill0.1 " + G}, {"3s", "kill", G},
		}},
		{"kill after stop", runtime.Spec{Stop: runtime.Stop{Grace: time.Minute}}, []line{
			{"0s", "begin", "start0.1 " + R}, {"1s", "stop", "signal0.1 " + G}, {"2s", "kill", "kill0.1 " + G},
		}},
		{"stop in back-off", runtime.Spec{Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"0s", "stop", S}, {"9s", "timer", S},
		}},
		{"stop after the end changes nothing", runtime.Spec{}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 0", C}, {"0s", "stop", C},
		}},
		{"what an attempt before says is too late", runtime.Spec{Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 " + R}, {"0s", "exit 1", B}, {"0s", "exit 1", B}, {"1s", "timer", "start0.2 " + R},
			{"1s", "old exit 1", R},
		}},
		{"replicas", runtime.Spec{Replicas: 2, Restart: onFailure}, []line{
			{"0s", "begin", "start0.1 start1.1 " + R}, {"0s", "exit 1", R}, {"1s", "timer", "start0.2 " + R},
			{"1s", "exit 0", R}, {"1s", "other exit 0", C},
		}},
		{"one replica gives up, the other is ended", runtime.Spec{Replicas: 2, Restart: limited, Stop: runtime.Stop{Grace: time.Second}}, []line{
			{"0s", "begin", "start0.1 start1.1 " + R}, {"0s", "exit 1", R}, {"1s", "timer", "start0.2 " + R},
			{"1s", "exit 1", R}, {"2s", "timer", "start0.3 " + R}, {"2s", "exit 1", "signal1.1 " + R},
			{"2s", "other exit 0", F + ": ended 3 times within 10s (limit 2), last: exit code 1"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newKeep(&c.spec)
			begin := time.Unix(1e9, 0)
			for i, l := range c.lines {
				at, err := time.ParseDuration(l.at)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, d := range k.step(begin.Add(at), parseFact(k, l.fact)) {
					text := fmt.Sprintf("%s%d.%d", [...]string{"start", "signal", "kill", "look"}[d.kind], d.replica, d.attempt)
					if d.why != "" {
						text += "(" + d.why + ")"
					}
					got = append(got, text)
				}
				status := k.status()
				phase := [...]string{"", R, B, G, S, C, F}[status.Phase]
				if status.Phase.Final() && status.Reason != "" {
					phase += ": " + status.Reason
				}
				if line := strings.Join(append(got, phase), " "); line != l.want {
					t.Fatalf("line %d, %s %s: got %q, want %q", i, l.at, l.fact, line, l.want)
				}
			}
		})
	}
}

func parseFact(k *keep, text string) fact {
	f := fact{}
	if rest, ok := strings.CutPrefix(text, "other "); ok {
		text, f.replica = rest, 1
	}
	f.attempt = k.replicas[f.replica].attempt
	if rest, ok := strings.CutPrefix(text, "old "); ok {
		text = rest
		f.attempt--
	}
	verb, rest, _ := strings.Cut(text, " ")
	switch verb {
	case "begin":
		f.kind = factBegin
	case "started":
		f.kind = factStarted
	case "ready":
		f.kind, f.readiness = factProbed, runtime.Readiness{Ready: true}
	case "unready":
		f.kind, f.readiness = factProbed, runtime.Readiness{Detail: rest}
	case "exit":
		f.kind = factExited
		fmt.Sscan(rest, &f.exit.Code)
	case "sick":
		f.kind, f.why = factSick, rest
	case "halted", "free":
		f.kind, f.halted = factLooked, verb == "halted"
	case "expected":
		f.kind, f.exit.Expected = factExited, true
		fmt.Sscan(rest, &f.exit.Code)
	case "error":
		f.kind, f.exit = factExited, runtime.Exit{Code: -1, Error: rest}
	case "timer":
		f.kind = factTimer
	case "stop":
		f.kind = factStop
		f.stop.Grace, _ = time.ParseDuration(rest)
	case "kill":
		f.kind, f.stop.Kill = factStop, true
	}
	return f
}

func TestBackoffJitterIsAtMostATenth(t *testing.T) {
	seen := map[time.Duration]bool{}
	for attempt := range 50 {
		d := backoff(runtime.Restart{Min: time.Second}, 1, runtime.InstanceID{Attempt: attempt})
		if d < time.Second || d > 1100*time.Millisecond {
			t.Errorf("attempt %d: %s", attempt, d)
		}
		seen[d] = true
	}
	if len(seen) < 10 {
		t.Errorf("only %d different delays", len(seen))
	}
}
