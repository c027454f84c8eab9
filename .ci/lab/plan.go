package main

import (
	"math/rand/v2"
	"time"
)

// strike is one thing that chaos does. All of it is drawn at once, whatever
// comes of the strikes before: the same seed gives the same strikes.
type strike struct {
	kind   string
	who    int           // which victim, ticker or writer
	target string        // which sort of service is killed
	verb   string        // of a call that is cut off, or that the daemon's end meets
	code   int           // to exit with
	times  int           // in a row
	after  time.Duration // until a kill in the middle of something
	away   time.Duration // without a daemon
	pause  time.Duration // until the next strike
}

// kinds of strike; what is twice in the list is twice as likely. Those that
// end the daemon come first.
var kinds = []string{
	"daemon", "daemon", "daemons", "away", "verb+daemon", "verb+daemon",
	"freeze", "kill", "kill", "kill", "exit", "exit", "restart", "down", "up", "cut", "cut", "ups", "follow",
}

// gentle is where those kinds begin that leave the daemon alone.
const gentle = 6

// plan is what strikes are drawn from.
func plan(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

// next draws a strike. With a calm one the daemon lives on, so that what it
// leaks adds up.
func next(random *rand.Rand, calm bool) strike {
	s := strike{
		kind:   kinds[random.IntN(len(kinds))],
		who:    random.IntN(1 << 16),
		target: []string{"victim", "ticker", "ticker", "writer"}[random.IntN(4)],
		verb:   []string{"up", "down", "restart", "restart"}[random.IntN(4)],
		code:   1 + random.IntN(60),
		times:  2 + random.IntN(3),
		after:  time.Duration(1+random.IntN(40)) * time.Millisecond,
		away:   time.Duration(random.IntN(1200)) * time.Millisecond,
		pause:  time.Duration(10+random.IntN(150)) * time.Millisecond,
	}
	other := kinds[gentle+random.IntN(len(kinds)-gentle)]
	if calm {
		s.kind = other
	}
	return s
}
