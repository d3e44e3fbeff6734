package stdlib_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

func TestEverythingIsDocumented(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*){0,2}$`)
	sentence := func(s string) bool {
		return strings.HasSuffix(s, ".") && !strings.Contains(s, "\n") && s == strings.TrimSpace(s)
	}
	for _, b := range lib.All() {
		if !name.MatchString(b.Name) {
			t.Errorf("%q is no name", b.Name)
		}
		if !sentence(b.Doc) {
			t.Errorf("%s: doc is not one sentence: %q", b.Name, b.Doc)
		}
		if b.Result == "" || b.Since == "" || len(b.Examples) == 0 {
			t.Errorf("%s: result %q, since %q, %d examples", b.Name, b.Result, b.Since, len(b.Examples))
		}
		if b.Purity == runtime.Asks && b.Repeat == "" {
			t.Errorf("%s: does not say what happens after a crash", b.Name)
		}
		if pure := b.Purity == runtime.Pure || b.Purity == runtime.Ambient; pure && b.Fn == nil {
			t.Errorf("%s: has no function", b.Name)
		}
		checkParams(t, b, sentence)
		for i, e := range b.Examples {
			if e.Star == "" || (e.Fails && e.Want == "") {
				t.Errorf("%s: example %d says nothing", b.Name, i)
			}
		}
	}
}

// checkParams also holds the order that bindings rely on: required, optional,
// variadic, by keyword, the rest.
func checkParams(t *testing.T, b *runtime.Builtin, sentence func(string) bool) {
	t.Helper()
	seen, last := map[string]bool{}, 0
	for _, p := range b.Params {
		if seen[p.Name] || p.Name == "" || p.Type == 0 {
			t.Errorf("%s: parameter %q is doubled, nameless or has no type", b.Name, p.Name)
		}
		seen[p.Name] = true
		if !sentence(p.Doc) {
			t.Errorf("%s: parameter %s: doc is not a sentence: %q", b.Name, p.Name, p.Doc)
		}
		rank := 0
		switch {
		case p.Rest:
			rank = 4
		case p.Named:
			rank = 3
		case p.Variadic:
			rank = 2
		case p.Optional:
			rank = 1
		}
		if rank < last {
			t.Errorf("%s: parameter %s stands too late", b.Name, p.Name)
		}
		last = rank
	}
}

func TestEverySpecifiedNameIsThere(t *testing.T) {
	t.Parallel()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	const names = `on.message on.mention on.command on.action on.view on.view_closed on.shortcut on.options on.reaction
		on.home on.event on.webhook on.schedule on.error on.guard on.outgoing respond reply post dm ephemeral update delete react unreact
		open_modal publish_home slack_action slack_pages http_post http_get http_put http_patch http_delete http_request
		ask ask_form wait_event wait_reply wait_reaction sleep after cancel
		kv.get kv.set kv.delete kv.incr kv.cas kv.list kv.shared.get kv.shared.set once user channel config secret
		ui.errors ui.replace ui.push ui.clear ui.option http_reply abort json.encode json.decode time.now now math.round
		re.search hash.hmac base64.encode text.template text.split_args random.int log.info struct catch fail print type`
	for _, n := range strings.Fields(names) {
		if lib.Lookup(n) == nil {
			t.Errorf("%s is missing", n)
		}
	}
}

func TestEveryRuleTakesTheCommonOptions(t *testing.T) {
	t.Parallel()
	const common = "name help channels users teams bots when priority stop from_bots cooldown timeout hosts owner dry_run enabled groups admin"
	for _, b := range stdlib.Builtins() {
		if b.Purity != runtime.Register || b.Name == "on.guard" || b.Name == "on.outgoing" {
			continue // those two are no rules that run, but judge what others do
		}
		has := map[string]bool{}
		for _, p := range b.Params {
			has[p.Name] = true
		}
		for _, o := range strings.Fields(common) {
			if !has[o] {
				t.Errorf("%s does not take %s", b.Name, o)
			}
		}
		if text := b.Name == "on.message" || b.Name == "on.mention"; text != has["absent"] || text != has["threads"] || text != has["edits"] {
			t.Errorf("%s: absent, threads and edits belong to messages alone", b.Name)
		}
	}
}

func TestBuiltinsAreNewEachTime(t *testing.T) {
	t.Parallel()
	a, b := stdlib.Builtins(), stdlib.Builtins()
	a[0].Doc = "changed"
	if b[0].Doc == "changed" {
		t.Fatal("two calls share a declaration")
	}
}
