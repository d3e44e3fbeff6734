package dispatch_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

func TestAnOutgoingHookChangesOrRefusesEachMessage(t *testing.T) {
	t.Parallel()
	const says = `
def go(e):
    r = post("#c", text = "token tok_1")
    probe.again(key = "%s %s" % (r.ok, r.error))
on.message("go", go)
`
	for _, c := range []struct{ name, hook, lua, want string }{
		{"true", "return True", "return true", "token tok_1|True None"},
		{"text", "return m.text.replace('tok_1', '…')", "return text.replace(m.text, 'tok_1', '…')", "token …|True None"},
		{"dict", "return {'text': m.kind + ' ' + m.method + ' ' + m.channel + ' ' + m.event.text}", "return {text = m.kind .. ' ' .. m.method .. ' ' .. m.channel .. ' ' .. m.event.text}", "post chat.postMessage #c go|True None"},
		{"false", "return False", "return false", "False refused"},
		{"nothing", "pass", "", "False refused"},
		{"empty", "return ''", "return ''", "False refused"},
		{"throw", "fail('boom')", "error('boom')", "False refused"},
		{"limit", "\n    for i in range(1 << 40):\n        pass\n    return True", "while true do end", "False refused"},
		{"change of channel", "return {'channel': '#other'}", "return {channel = '#other'}", "False refused"},
		{"send", "\n    post('#audit', 'sent')\n    return True", "post('#audit', 'sent') return true", "False refused"},
		{"read", "return probe.read(key = 'r').ok", "return probe.read('r').ok", "r|token tok_1|True None"},
	} {
		for _, lang := range []string{"star", "lua"} {
			if c.name == "text" && lang == "lua" {
				continue // the same by way of text.replace, which Lua's own gsub does
			}
			t.Run(c.name+" "+lang, func(t *testing.T) {
				t.Parallel()
				hook := "def check(m):\n    " + c.hook + "\non.outgoing(check)"
				if lang == "lua" {
					hook = "on.outgoing(function(m) " + c.lua + " end)"
				}
				w := newWorld(t, map[string]string{"a.star": says, "hook." + lang: hook})
				s := w.start(func(o *dispatch.Options) { o.Limits.Steps = 20000 })
				s.say("1", "go")
				w.settled()
				same(t, "effects", w.far.keys(), strings.Split(c.want, "|"))
				if got := w.outcomes("1"); len(got) != 1 || got[0] != dispatch.Done {
					t.Errorf("the run of the rule: %v", got)
				}
			})
		}
	}
}

func TestHooksSeeReturnedTextsAndChatMethodsAndNotTheServersOwnNotices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": `
on.message("text", lambda e: "returned")
on.message("method", lambda e: slack_action("chat.scheduleMessage", channel = "C1", text = "later") and None)
on.message("quiet", lambda e: slack_action("chat.delete", channel = "C1", ts = "1.2") and None)
on.mention("wrong", lambda e: fail("x"))
on.command("/x", lambda e: {"text": "answer", "response_type": "in_channel"})
on.command("/verbatim", lambda e: http_reply(json = {"text": "answer"}))
on.command("/no", lambda e: "forbidden")
`,
		"h.star": `
def mark(m):
    if m.text == "forbidden":
        return False
    log.info("asked " + m.kind, method = m.method)
    return (m.text or "") + "!"
on.outgoing(mark)
on.outgoing(lambda m: m.text + "?", own = True)
on.outgoing(lambda m: m.text.upper(), priority = -1)
`,
	})
	s := w.start()
	s.say("1", "text")
	s.say("2", "method")
	s.say("3", "quiet")
	s.say("4", "<@UBOT> wrong", func(e *event.Event) { e.Kind = event.Mention })
	w.settled()
	eventually(t, "the effects", func() bool { return len(w.far.keys()) == 4 })
	if w.far.count("RETURNED!") != 1 {
		t.Errorf("the returned text: %q", w.far.keys())
	}
	if got := fmt.Sprint(w.report("2").Runs); !strings.Contains(got, `"text":"LATER!"`) {
		t.Errorf("chat.scheduleMessage: %s", got)
	}
	if n := strings.Count(w.log.String(), `msg="asked `); n != 2 {
		t.Errorf("asked %d times, want 2: not about a deletion, not about the server's notice", n)
	}
	for cmd, want := range map[string]string{"/x": `{"text":"ANSWER!","response_type":"in_channel"}`, "/verbatim": `{"text":"ANSWER!"}`, "/no": ""} {
		a, err := s.AcceptAnswered(context.Background(), command(cmd, cmd))
		if err != nil || a == nil != (want == "") || a != nil && string(a.Body) != want {
			t.Errorf("%s: got %+v %v, want %s", cmd, a, err, want)
		}
	}
}

func TestAfterACrashTheMessageIsSentAsTheHooksHadMadeIt(t *testing.T) {
	t.Parallel()
	w := crashAfter(t, map[string]string{
		"a.star": `on.message("go", lambda e: post("#c", text = "plain") and None)`,
		"h.star": `on.outgoing(lambda m: m.text + " made once")`,
	}, "plain made once", func(w *world) {
		w.write("h.star", `on.outgoing(lambda m: m.text + " made anew")`)
	})
	for _, k := range w.far.keys() {
		if k != "plain made once" {
			t.Errorf("sent %q", k)
		}
	}
	rep := w.report("1")
	if len(rep.Runs) != 1 || rep.Runs[0].Outcome != dispatch.Done || !strings.Contains(rep.Runs[0].Effects[0].Args, "made once") {
		t.Errorf("got %+v", rep.Runs)
	}
}

func TestAHookThatIsSwitchedOffLetsNoMessageOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": `on.message("go", lambda e: post("#c", text = "said") and None)`,
		"h.star": spinning + `on.outgoing(spin)`,
	})
	var b *breaker.Breaker
	s := w.start(withBreaker(t, w, &b))
	for i := range 5 {
		s.say(fmt.Sprint(i), "go")
		w.settled()
	}
	same(t, "sent", w.far.keys(), []string{})
	if got := fmt.Sprint(w.report("4").Runs); !strings.Contains(got, "switched off after 3 breaches") {
		t.Errorf("the reason is not in %s", got)
	}
	if err := b.Disable(t.Context(), "h.star:spin", "known"); err != nil {
		t.Fatal(err)
	}
	s.say("9", "go")
	w.settled()
	same(t, "sent", w.far.keys(), []string{"said"})
}

func TestAFileThatMayHoldAnOutgoingHookAndDoesNotLoadAtTheStartKeepsMessagesIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t, map[string]string{
		"a.star": `on.message("go", lambda e: post("#c", text = "said") and None)`,
		"h.lua":  `on.outgoing(function(m) return true end`,
	})
	s := w.startBroken()
	s.say("1", "go")
	w.settled()
	if err := os.Remove(filepath.Join(w.dir, "h.lua")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.loader.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.say("2", "go")
	w.settled()
	same(t, "sent", w.far.keys(), []string{"said"})
}

// Without hooks, a message must not cost more for there being such a thing.
func TestMessagesCostNothingMoreWithoutHooks(t *testing.T) {
	args := runtime.NewDict("channel", "C1", "text", "hello")
	if n := testing.AllocsPerRun(200, dispatch.OutgoingProbe(t, args)); n != 0 {
		t.Errorf("a message costs %v allocations, want none", n)
	}
}
