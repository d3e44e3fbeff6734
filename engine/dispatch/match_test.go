package dispatch_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// Each registers 900 patterns of about 100 instructions, which take 10 ms and
// more on a long text.
var slowPatterns = map[string]string{
	"slow.star": `
def never(e):
    post("#general", "never")
for i in range(900):
    on.message("(?:.?){47}[^a-z%d]" % (i % 10), never, name = "slow%d" % i)
`,
	"slow.lua": `
for i = 0, 899 do
  on.message("(?:.?){47}[^a-z" .. (i % 10) .. "]", function(e) post("#general", "never") end, {name = "slow" .. i})
end
`,
}

func TestRulesWhosePatternsTakeLongAreSwitchedOffAndTheOthersRun(t *testing.T) {
	t.Parallel()
	for file, script := range slowPatterns {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, map[string]string{
				file:        script,
				"good.star": `on.message("^ab", lambda e: probe.again(key = "good " + e.id))`,
			})
			var b *breaker.Breaker
			s := w.start(withBreaker(t, w, &b))
			text := strings.Repeat("ab", runtime.MaxMatchText/2)
			took := make([]time.Duration, 5)
			for i := range took {
				began := time.Now()
				s.say(fmt.Sprint(i), text)
				w.settled()
				took[i] = time.Since(began)
				if off := len(b.All()); i < 2 && off > 0 || i >= 2 && off != 900 {
					t.Errorf("after event %d %d rules are off", i, off)
				}
			}
			same(t, "effects", w.far.keys(), []string{"good 0", "good 1", "good 2", "good 3", "good 4"})
			t.Logf("the events took %v", took)
			if first := took[0]; first > 5*time.Second {
				t.Errorf("the first event took %s", first)
			}
			sw := b.All()[0]
			if sw.Limit != runtime.LimitMatch || !strings.Contains(sw.Why, "after 3 breaches of limits in a row (match), the last at "+file) {
				t.Errorf("switch: %+v", sw)
			}
			for _, v := range s.Explain(message("x", text)) {
				if v.Rule.Script == file && (v.Matched || v.Rule.Name != "slow0" && !strings.Contains(v.Why, "switched off after 3")) {
					t.Fatalf("explained %s: %v %s", v.Rule.Name, v.Matched, v.Why)
				}
			}
			// Another version has its chance.
			w.write(file, strings.ReplaceAll(script, "900", "2"))
			if err := s.loader.Reload(t.Context()); err != nil {
				t.Fatal(err)
			}
			if slices.ContainsFunc(s.loader.Report().Files, func(f rules.FileStatus) bool { return len(f.Errors) > 0 }) {
				t.Fatal("the new version has errors")
			}
			if off := len(b.All()); strings.HasSuffix(file, ".star") && off != 898 {
				t.Errorf("after a change %d rules are off, want those that are gone", off)
			}
		})
	}
}

func TestARuleThatRunsWellIsSwitchedOffForItsPatternAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"slow.star": `on.message("(.*){1,50}b$", lambda e: probe.again(key = "ran " + e.id))`,
	})
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b))
	text := strings.Repeat("ab", runtime.MaxMatchText/2)
	for i := range 4 {
		s.say(fmt.Sprint(i), text, func(e *event.Event) { e.Raw = []byte(`{}`) })
		w.settled()
	}
	same(t, "effects", w.far.keys(), []string{"ran 0", "ran 1"})
	if got := w.reasonOf("2"); !strings.Contains(got, "skipped 0 switched off after 3 breaches of limits in a row (match)") {
		t.Errorf("the run of the third event: %s", got)
	}
	if got := w.reasonOf("3"); got != "" {
		t.Errorf("a rule that is off was tried: %s", got)
	}
}
