package loadtest

import (
	"errors"
	"slices"
	"sync"
	"time"
)

// Times are durations of one thing that was done many times.
type Times []time.Duration

// Percentile is the p-th of them, 0 to 100; 0 if there are none. It sorts them.
func (t Times) Percentile(p int) time.Duration {
	if len(t) == 0 {
		return 0
	}
	slices.Sort(t)
	return t[min(len(t)*p/100, len(t)-1)].Round(time.Microsecond)
}

// Drive has so many connections to addr do f until it returns no more, and puts
// their times together. f takes one time; more is false if it took none.
func Drive(addr string, conns int, f func(c *Conn) (took time.Duration, more bool, err error)) (Times, error) {
	times, errs := make([]Times, conns), make([]error, conns)
	var wg sync.WaitGroup
	for i := range conns {
		wg.Go(func() { times[i], errs[i] = drive(addr, f) })
	}
	wg.Wait()
	return slices.Concat(times...), errors.Join(errs...)
}

func drive(addr string, f func(c *Conn) (time.Duration, bool, error)) (times Times, err error) {
	c, err := Dial(addr)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	for {
		took, more, err := f(c)
		if err != nil || !more {
			return times, err
		}
		times = append(times, took)
	}
}
