package worker

import (
	"testing"
	"time"
)

func TestWhoStandsBackIsNotLeftNothingForLong(t *testing.T) {
	now := time.Unix(1000, 0)
	s := asides{from: now}
	step := func(d, got time.Duration) {
		now = now.Add(d)
		s.got += got
		if s.due(now) {
			s.judge(now, true)
		}
	}
	step(asideAtMost/2, 0)
	if s.among(now) {
		t.Error("among the others before it is time")
	}
	step(asideAtMost/2, asideAtMost)
	if s.among(now) {
		t.Error("among the others though they have a whole processor")
	}
	// Each time in a row it is for longer; in between they stand back.
	for _, want := range []time.Duration{asideAtMost, 2 * asideAtMost, 4 * asideAtMost, asideNot, asideNot} {
		step(asideAtMost, asideAtMost/10)
		since := now
		for s.among(now) {
			step(time.Millisecond, time.Hour) // what they have among the others does not count
		}
		if now.Sub(since) != want {
			t.Errorf("among the others for %v, want %v", now.Sub(since), want)
		}
	}
	step(asideAtMost, asideAtMost)
	step(asideAtMost, 0)
	since := now
	for s.among(now) {
		step(time.Millisecond, 0)
	}
	if now.Sub(since) != asideAtMost {
		t.Errorf("among the others for %v after they had enough, want %v", now.Sub(since), asideAtMost)
	}
}

func TestNobodyIsJudgedByATimeInWhichHeWasNotThere(t *testing.T) {
	now := time.Unix(1000, 0)
	var s asides // nobody has stood back so far
	if s.judge(now, false); s.among(now) {
		t.Error("among the others though nobody had to wait")
	}
}

func TestAPlaceIsKeptForQuickPasses(t *testing.T) {
	keeps := func(live, busyOther, starting int, o Options, waits time.Duration) bool {
		p := &Pool{opt: o, starting: starting}
		p.main.busy, p.main.busyOther, p.main.lastQuick = live, busyOther, time.Now()
		p.main.lines[rest].pushBack(&task{load: true, queued: time.Now().Add(-waits)})
		return p.keepsPlace(&p.main, rest)
	}
	four := Options{Workers: 4}
	for _, c := range []struct {
		what                      string
		live, busyOther, starting int
		opt                       Options
		waits                     time.Duration
		want                      bool
	}{
		{"all are free", 4, 0, 0, four, 0, false},
		{"two are free", 4, 2, 0, four, 0, false},
		{"one is free", 4, 3, 0, four, time.Hour, true},
		{"one is free, others are being started", 3, 2, 1, four, 0, true},
		{"only one is there, others are being started", 1, 0, 3, four, 0, true},
		{"only one is there, and others take their time", 1, 0, 3, four, time.Second, false},
		{"only one is there, and no other comes", 1, 0, 0, four, 0, false},
		{"there is one place", 1, 0, 0, Options{Workers: 1}, 0, false},
	} {
		if got := keeps(c.live, c.busyOther, c.starting, c.opt, c.waits); got != c.want {
			t.Errorf("%s: kept %v, want %v", c.what, got, c.want)
		}
	}
}
