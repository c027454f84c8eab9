package watch

import "time"

// How long it has to be quiet before changes are looked at. A save is one to
// three files within a millisecond; formatters, code generators and checkouts
// leave gaps that grow with what they have to do.
const (
	quietSave  = 1500 * time.Microsecond
	quietFew   = 25 * time.Millisecond
	quietStorm = 100 * time.Millisecond
	fewPaths   = 8
	manyPaths  = 64

	// settleLimit ends waiting for quiet.
	settleLimit = time.Second
	// returnLimit is how long a file that is gone or empty is given to come
	// back: `rm x; make x`, and editors that truncate before they write; and for
	// how long a file that is open for writing is left alone: cp writes in pieces.
	returnLimit = 50 * time.Millisecond
	// gitLimit ends waiting for git to finish: a lock may be stale, or held
	// while a person writes a commit message.
	gitLimit = 5 * time.Second
	// gitAgain is how often the lock is looked at meanwhile.
	gitAgain = 10 * time.Millisecond
)

// settle decides when a project's changes have come to rest. Its zero value
// has seen none.
type settle struct {
	told        time.Time // when changes were told last: what follows at once belongs to more
	first, last time.Time
	until       time.Time // not before
	git         bool      // because git is at work
}

func (s *settle) note(now time.Time) {
	if s.first.IsZero() {
		s.first = now
	}
	s.last = now
	if !s.git {
		s.until = time.Time{} // what was waited for may have come
	}
}

func (s *settle) active() bool { return !s.first.IsZero() }

// due is when to look at the changes of so many paths.
func (s *settle) due(paths int) time.Time {
	if !s.until.IsZero() {
		return s.until
	}
	quiet := quietStorm
	switch {
	case paths <= fewPaths && s.first.Sub(s.told) >= quietFew:
		quiet = quietSave
	case paths <= manyPaths:
		quiet = quietFew
	}
	return earlier(s.last.Add(quiet), s.first.Add(settleLimit))
}

// hold is asked when changes are due, and says whether to wait nevertheless:
// for git to end, for what vanished to come back, or for what is being written
// to be whole.
func (s *settle) hold(now time.Time, git bool, vanishing, unfinished func() bool) bool {
	switch {
	case git && now.Before(s.first.Add(gitLimit)):
		s.git = true
		s.until = now.Add(gitAgain)
		return true
	case s.git && !git: // it has just ended; its last events may be on their way
		s.git = false
		s.until = now.Add(quietFew)
		return true
	}
	back := earlier(s.last.Add(returnLimit), s.first.Add(settleLimit))
	switch {
	case !now.Before(back):
	case vanishing():
		s.until = back
		return true
	case unfinished(): // nobody tells that a file was closed
		s.until = earlier(back, now.Add(quietSave))
		return true
	}
	return false
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
