package supervisor

import (
	"testing"
	"time"
)

// TestWhatRunsNowhereSaysWhy: a cluster without room for a pod goes on trying.
func TestWhatRunsNowhereSaysWhy(t *testing.T) {
	for _, tt := range []struct {
		phase  Phase
		before Cause
		reason string
		want   Cause
	}{
		{PhaseStarting, Cause{}, "no node takes it", Cause{Kind: CauseStart, Text: "no node takes it"}},
		{PhaseUnready, Cause{Kind: CauseUnready, Text: "503"}, "no node takes it", Cause{Kind: CauseStart, Text: "no node takes it"}},
		{PhaseStarting, Cause{Kind: CauseStart, Text: "no node takes it"}, "", Cause{}},
		{PhaseStarting, Cause{Kind: CauseExit, Text: "exit code 1"}, "", Cause{Kind: CauseExit, Text: "exit code 1"}},
		{PhaseReady, Cause{}, "no node takes the second one", Cause{}},
	} {
		g := &Generation{Phase: tt.phase, Cause: tt.before, Since: time.Unix(1, 0)}
		if g.hindered(tt.reason); g.Cause != tt.want {
			t.Errorf("%s %+v, %q: %+v", tt.phase, tt.before, tt.reason, g.Cause)
		}
	}
}
