package rules_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
)

const benchText = "hey team, the nightly build of service payments has failed again, could somebody please deploy payments to production once it is green?"

// manyRules loads n message rules of which one matches benchText.
func manyRules(b *testing.B, n int) *rules.Set {
	b.Helper()
	lines := make([]string, 0, n)
	lines = append(lines, on("message", "regex", `deploy (?P<app>\w+) to (?P<env>\w+)`))
	for i := 1; i < n; i++ {
		switch i % 4 {
		case 0:
			lines = append(lines, on("message", "regex", fmt.Sprintf(`(?i)restart service%d\b`, i)))
		case 1:
			lines = append(lines, on("message", "regex", fmt.Sprintf(`^!cmd%d (\w+)$`, i)))
		case 2:
			lines = append(lines, on("message", "regex", ".*", "channels", fmt.Sprintf("C%d", 1000+i)))
		case 3:
			lines = append(lines, on("command", "command", fmt.Sprintf("/c%d", i)))
		}
	}
	dir := b.TempDir()
	for i := 0; i < n; i += 1000 {
		write(b, dir, fmt.Sprintf("f%d.fake", i), strings.Join(lines[i:min(i+1000, n)], "\n"))
	}
	s, report := load(b, newLoader(b, dir))
	if report.Errors > 0 {
		b.Fatal(report.Files[0].Errors)
	}
	return s
}

func BenchmarkMatch(b *testing.B) {
	for _, n := range []int{1, 10, 1000, 10000} {
		s := manyRules(b, n)
		for _, c := range []struct {
			name string
			e    *event.Event
		}{
			{"hit", message(benchText)},
			{"miss", message("nothing of interest in this message, which is as long as people write them when they have a point to make, so to say.")},
			{"command", &event.Event{Kind: event.Command, Command: "/c3"}},
		} {
			b.Run(fmt.Sprintf("rules=%d/%s", n, c.name), func(b *testing.B) {
				b.ReportAllocs()
				dst := make([]rules.Match, 0, 8)
				for b.Loop() {
					dst = s.Match(c.e, dst[:0])
				}
			})
		}
	}
}

// BenchmarkLoad loads 10,000 files of one rule each, and then changes one.
func BenchmarkLoad(b *testing.B) {
	dir := b.TempDir()
	const n = 10000
	for i := range n {
		write(b, dir, fmt.Sprintf("d%d/f%d.fake", i%100, i), on("message", "regex", fmt.Sprintf("deploy service%d to", i), "fn", "h")+"\n")
	}
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			if s, _ := load(b, newLoader(b, dir)); s.Len() != n {
				b.Fatal(s.Len())
			}
		}
	})
	b.Run("one changed", func(b *testing.B) {
		l := newLoader(b, dir)
		load(b, l)
		time.Sleep(2100 * time.Millisecond) // past the time in which files are read again to be sure
		load(b, l)
		for i := 0; b.Loop(); i++ {
			write(b, dir, "d0/f0.fake", on("message", "regex", fmt.Sprintf("deploy changed%d", i)))
			load(b, l)
		}
	})
}
