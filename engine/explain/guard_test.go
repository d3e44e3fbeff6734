package explain_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/payload"
)

// TestGuardsHooksAndPermissionsAreExplained: who is refused is told why, and
// what would be said is as the hooks have it.
func TestGuardsHooksAndPermissionsAreExplained(t *testing.T) {
	t.Parallel()
	o := open(t, map[string]string{"a.star": `
on.guard(lambda e: "frozen" if e.user == "U9" else True, name = "freeze")
on.outgoing(lambda m: m.text + " (checked)", name = "mark")
on.message("go", lambda e: "gone", name = "open")
on.message("go", lambda e: "gone", name = "admins", admin = True)
`})
	rep := explained(t, o, act(t, "message", payload.Act{Text: "go", Channel: "C1", User: "U9"}))
	got := verdicts(rep)
	for _, want := range []string{
		"a.star:open false: refused by a.star:freeze: frozen\n",
		"a.star:freeze true: asked before all rules, and refuses the event -> cancelled ephemeral{\"channel\":\"C1\",\"user\":\"U9\",\"text\":\"frozen\"}\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
	if rep.Skeletons != nil {
		t.Error("a rule is offered for an event that a guard refuses")
	}
	got = verdicts(explained(t, o, act(t, "message", payload.Act{Text: "go", Channel: "C1", User: "U1"})))
	for _, want := range []string{
		"a.star:open true -> done post{\"channel\":\"C1\",\"text\":\"gone (checked)\"}\n",
		"a.star:admins false: not permitted: the rule is for admins, and the configuration names none (admins)\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in\n%s", want, got)
		}
	}
}
