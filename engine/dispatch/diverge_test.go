package dispatch_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// These rules perform the effects that the text of the message names, one
// after another: "never:a" is probe.never("a").
var obedient = map[string]string{
	".star": `
DO = {"never": probe.never, "again": probe.again, "read": probe.read}
def go(e):
    for word in e.text.split(" ")[1:]:
        kind, key = word.split(":")
        DO[kind](key = key).ok
on.message("go", go)
`,
	".lua": `
local DO = {never = probe.never, again = probe.again, read = probe.read}
on.message("go", function(e)
  for kind, key in e.text:sub(4):gmatch("(%a+):(%a+)") do
    local ok = DO[kind](key).ok
  end
end)
`,
}

// A run is cut off with two steps in its journal and a third one in flight, and
// taken up by a script that does something else: by the text of the event,
// which is changed in between.
func TestAReplayThatDivergesFromItsJournalFails(t *testing.T) {
	t.Parallel()
	const recorded = "go read:a again:b never:c"
	for ext, script := range obedient {
		for name, c := range map[string]struct {
			now  string
			want string
		}{
			"another order":                 {"go again:b read:a never:c", "step 1: the script asks for probe.again, the journal holds probe.read"},
			"other arguments":               {"go read:a again:x never:c", "step 2: the script asks for probe.again with other arguments than before"},
			"another effect":                {"go read:a never:b never:c", "step 2: the script asks for probe.never, the journal holds probe.again"},
			"fewer effects":                 {"go read:a", "step 2: the script ended, but the journal holds 2 steps"},
			"no effect":                     {"go", "step 1: the script ended, but the journal holds 2 steps"},
			"one more at the beginning":     {"go read:x read:a again:b never:c", "step 1: the script asks for probe.read with other arguments than before"},
			"another one than in flight":    {"go read:a again:b again:c", "step 3: the script asks for probe.again, the journal holds probe.never"},
			"in flight with other words":    {"go read:a again:b never:x", "step 3: the script asks for probe.never with other arguments than before"},
			"not the one that is in flight": {"go read:a again:b", "step 3: the script ended, but the journal holds probe.never at "},
			"as before":                     {recorded, ""},
			"more after what was recorded":  {recorded + " again:d", ""},
		} {
			t.Run(name+ext, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, map[string]string{"a" + ext: script})
				release := w.far.hold("c")
				s := w.start()
				s.say("1", recorded)
				w.far.wait(t, 2)
				eventually(t, "the third to be in flight", func() bool {
					info, err := w.store.Event(t.Context(), "1")
					if err != nil {
						return false
					}
					rep, _ := dispatch.Report(info)
					return len(rep.Runs) == 1 && len(rep.Runs[0].Effects) == 3 && rep.Runs[0].Effects[2].State == "in flight"
				})
				s.kill()
				s.end()
				release()
				w.start(func(o *dispatch.Options) {
					o.Store.(*store).s.tamper.Store(new(func(e *event.Event) { e.Text = c.now }))
				})
				w.settled()
				run := w.report("1").Runs[0]
				if c.want == "" {
					if run.Outcome != dispatch.Done {
						t.Errorf("got %s, %v", run.Outcome, run.Error)
					}
					return
				}
				err := run.Error
				if run.Outcome != dispatch.Failed || err == nil || err.Kind != runtime.DivergedError || !strings.HasPrefix(err.Msg, "replay diverged at "+c.want) {
					t.Fatalf("got %s: %+v, want %q", run.Outcome, err, c.want)
				}
				if at := err.Pos.String(); !strings.HasPrefix(at, "a"+ext) || !strings.Contains(c.want, "ended") && !strings.HasPrefix(at, fmt.Sprintf("a%s:%d:", ext, callLine[ext])) {
					t.Errorf("at %s, want the place of the call", at)
				}
				if got := len(w.far.keys()); got > 2 {
					t.Errorf("%d effects: a run that has diverged goes on", got)
				}
			})
		}
	}
}

// callLine is where the obedient rules ask for their effects.
var callLine = map[string]int{".star": 6, ".lua": 5}
