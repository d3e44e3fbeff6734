package worker

import "time"

// stance is how a worker is scheduled beside others.
type stance uint8

const (
	// shortSlices: it computes for a moment, and has usualSlice.
	shortSlices stance = iota
	// longSlices: its pass is long, and it is one among others.
	longSlices
	// aside: it stands back, and has what nobody else wants.
	aside
)

// asides tells whether those who stand back are left enough. They all are
// looked at together: what one of them lacks because others of them have it is
// no reason to be among the others, unless it has next to nothing. And whoever
// does not stand back any more does so again after a while: as soon as some are
// among the others, the rest have nothing. Pool.mu guards it.
type asides struct {
	from time.Time     // since when it is reckoned what they get
	got  time.Duration // and what that is so far
	// Until when those who were left nothing are among the others, if they are,
	// and for how long that is; zero if those who stood back last had enough.
	until time.Time
	span  time.Duration
}

// reckon adds up what a worker has got while it stood back.
func (s *asides) reckon(w *worker) {
	if w.stance != aside {
		return
	}
	if used, ok := processorTime(w.cmd.Process.Pid); ok {
		s.got += used - w.asideUsed
		w.asideUsed = used
	}
}

// due reports whether it is time to judge what those who stand back have got.
func (s *asides) due(now time.Time) bool {
	return s.until.IsZero() && now.Sub(s.from) >= asideAtMost
}

// judge notes whether those who stand back were left too little, if anybody has
// stood back all the time since s.from.
func (s *asides) judge(now time.Time, throughout bool) {
	enough := s.got >= now.Sub(s.from)/asideShare
	s.from, s.got = now, 0
	switch {
	case !throughout:
	case enough:
		s.span = 0
	default:
		s.span = max(asideAtMost, min(2*s.span, asideNot))
		s.until = now.Add(s.span)
	}
}

// among reports whether those who were left too little are among the others, of
// which it takes note when their time is up.
func (s *asides) among(now time.Time) bool {
	if !s.until.IsZero() && !now.Before(s.until) {
		s.until, s.from, s.got = time.Time{}, now, 0
	}
	return !s.until.IsZero()
}

// returning is how many who stand back may be among the others again: as many as
// usually make passes, and any number if that was not enough the last time.
func (p *Pool) returning(now time.Time) int {
	s := &p.asides
	judged := s.due(now)
	if judged {
		throughout := false
		for w := range p.all {
			throughout = throughout || w.state == busy && w.stance == aside && !w.aside.After(s.from)
			s.reckon(w)
		}
		s.judge(now, throughout)
	}
	switch {
	case !s.among(now):
		return 0
	case s.span > asideAtMost:
		return len(p.all)
	case judged:
		return p.opt.Workers
	}
	return 0
}

// watchLong sees to it that w, which begins a pass, stands back once the pass is
// long, or at once if it may well be, and no more if only the last was. p.mu is held.
func (p *Pool) watchLong(w *worker) {
	p.asides.reckon(w)
	switch {
	case w.crew.mayStandBack(w) && w.standBack(time.Now()):
	case w.stance != shortSlices:
		w.stance = shortSlices
		setSlice(w.cmd.Process.Pid, usualSlice)
	}
	if !p.longSet && !p.closed {
		p.lookLater(longAfter)
	}
}

// lookLater sees to it that long passes are looked for.
func (p *Pool) lookLater(d time.Duration) {
	p.longSet = true
	p.longDue = time.Now().Add(d)
	p.long.Reset(d)
}

// mayStandBack reports whether a worker stands back from the beginning of a
// pass: others are wanted that are known to be quick, and this one is not, or has
// to wait for its script anyhow. One that only loads a script does not: that is
// done at low priority while events come in.
func (c *crew) mayStandBack(w *worker) bool {
	return w.onOther && time.Since(c.lastQuick) < quickRecently && !w.flights[0].t.load
}

// standBack gives a worker what nobody else wants, where that may be taken back.
func (w *worker) standBack(now time.Time) bool {
	pid := w.cmd.Process.Pid
	if w.stance != aside && !setIdle(pid) {
		return false
	}
	w.stance, w.aside = aside, now
	w.asideUsed, _ = processorTime(pid)
	return true
}

// amongOthers gives a worker that computes for long what others get, in long slices.
func (w *worker) amongOthers() {
	if w.stance != longSlices {
		w.stance = longSlices
		setSlice(w.cmd.Process.Pid, longSlice)
	}
}

// leftOut reports whether a worker was left too little of a processor since its
// pass began, whatever others have who stand back. A slow script has to put up
// with that.
func (w *worker) leftOut(began, now time.Time) bool {
	d := now.Sub(began)
	return d >= asideAlone && !w.slow && !w.patience.worked(d/asideLeast)
}

// onLong has workers whose pass is long stand back, where that may be asked for
// and leaves them enough, or gives them long slices.
func (p *Pool) onLong() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.longSet = false
	now, busyOnes := time.Now(), false
	p.lost.look(now, now.Sub(p.longDue), stolenTime)
	places := p.returning(now)
	for w := range p.all {
		if w.state != busy || len(w.flights) == 0 {
			continue
		}
		busyOnes = true
		switch at, began := w.current(); {
		case w.leftOut(began, now):
			p.asides.reckon(w)
			w.amongOthers()
		case w.stance == aside:
			if places > 0 && now.Sub(w.aside) >= asideAtMost {
				places--
				p.asides.reckon(w)
				w.amongOthers()
			}
		case !began.Before(now.Add(-longAfter)), w.stance == shortSlices && !w.patience.worked(longAfter/2):
			// It is not long, or was given no processor so far.
		case w.flights[at].t.load, p.asides.among(now), !w.standBack(now):
			w.amongOthers()
		}
	}
	if busyOnes && !p.closed {
		p.lookLater(longAfter / 2)
	}
}
