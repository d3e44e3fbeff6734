package engine_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
)

const spinning = "def spin(e):\n    for i in range(1 << 40):\n        pass\n"

// The owner of a rule may be a channel or a person.
func TestTheOwnerOfARuleThatIsSwitchedOffIsTold(t *testing.T) {
	t.Parallel()
	r, s := newSlackRig(t, map[string]string{
		"a.star": spinning + `on.message("x", spin, name = "room", owner = "C0ROOM")`,
		"b.star": spinning + `on.message("x", spin, name = "person", owner = "U0ADA")`,
		"c.star": spinning + `on.message("x", spin, name = "nobody")`,
	}, func(o *engine.Options) { o.Config.Limits.Steps = 1000 })
	for i := range 6 {
		r.send("/slack/events", jsonBody, message(fmt.Sprint(i), "x"))
	}
	var told []string
	for deadline := time.Now().Add(20 * time.Second); len(told) < 2 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		told = nil
		for _, c := range s.wait(t, 1) {
			if c.method == "chat.postMessage" {
				told = append(told, fmt.Sprint(c.args["channel"], " ", c.args["text"]))
			}
		}
	}
	got := strings.Join(told, "\n")
	if len(told) != 2 || !strings.Contains(got, "C0ROOM Your rule `a.star:room` is switched off") || !strings.Contains(got, "D-U0ADA Your rule `b.star:person` is switched off") {
		t.Errorf("told:\n%s", got)
	}
	if strings.Contains(got, "1000 steps") || !strings.Contains(got, "starling runs ") {
		t.Errorf("want the run's id and no internals:\n%s", got)
	}
}
