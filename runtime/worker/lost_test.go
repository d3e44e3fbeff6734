package worker

import (
	"testing"
	"time"
)

func TestWhatTheMachineLoses(t *testing.T) {
	const ms = time.Millisecond
	now, total := time.Unix(1000, 0), 5*time.Second
	began := now
	var l lost
	look := func(after, lag, stolen time.Duration) {
		now, total = now.Add(after), total+stolen
		l.look(now, lag, func() time.Duration { return total })
	}
	want := func(what string, d time.Duration) {
		t.Helper()
		if got := l.since(began); got != d {
			t.Errorf("%s: lost %v, want %v", what, got, d)
		}
	}
	look(0, 0, 0)
	want("the first look only learns the total", 0)
	look(lookEvery/2, 0, 10*ms)
	want("too early for a look", 0)
	look(lookEvery/2, 0, 20*ms)
	want("stolen", 30*ms)
	look(100*ms, 90*ms, 0)
	want("a timer that is late", 120*ms)
	look(80*ms, 70*ms, 60*ms)
	want("late because it was stolen: that is one and the same", 190*ms)
	look(60*ms, 0, 500*ms)
	want("of two processors, in less time than that", 250*ms)
	began = now
	want("before the pass", 0)
	look(time.Minute, 0, 10*time.Second)
	want("between looks that are far apart", 0)
	for range 10 * maxSpells {
		look(lookEvery, 0, 10*ms)
	}
	began = now.Add(-10*lookEvery - 1)
	want("the last of many", 110*ms)
}
