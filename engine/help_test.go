package engine_test

import (
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/scripts"
)

const commandRules = `
load("@starling//help.star", "help")
load("@starling//history.star", "history")
help(unknown = True)
history()
on.mention("deploy", lambda e: "deploying %s" % e.args.app, args = "<app> [env=staging|prod]", help = "Ships an app.")
on.command("/deploy status", lambda e: "fine", args = "[app]")
on.command("/ops", lambda e: "ops", channels = ["COTHER"])
`

func newCommandRig(t *testing.T) (*rig, *slack) {
	t.Helper()
	return newSlackRig(t, map[string]string{"commands.star": commandRules}, func(o *engine.Options) { o.Scripts = scripts.FS })
}

// TestCommandsOfTheRunningServer goes the way of production: usage for whoever
// gets it wrong, help that follows the rules, !! through the store.
func TestCommandsOfTheRunningServer(t *testing.T) {
	t.Parallel()
	r, s := newCommandRig(t)
	said := 0
	say := func(id, text string, more int) []call {
		t.Helper()
		r.send("/slack/events", jsonBody, message(id, "<@UBOT> "+text))
		r.send("/slack/events", jsonBody, appMention(id, "<@UBOT> "+text)) // Slack reports it twice
		said += more
		return s.wait(t, said)[said-more:]
	}
	got := say("a", "deploy", 1)[0]
	if got.method != "chat.postEphemeral" || got.args["user"] != "U1" || got.args["text"] != "&lt;app&gt; is missing\nUsage: deploy &lt;app&gt; [env=staging|prod]" {
		t.Errorf("usage: %v", got)
	}
	if got := say("b", "deploy api", 1)[0]; got.args["text"] != "deploying api" {
		t.Errorf("a command: %v", got)
	}
	again := say("c", "!!", 2)
	if a, b := again[0].args["text"], again[1].args["text"]; a != "Again: deploy api" || b != "deploying api" {
		t.Errorf("!!: %v", again)
	}
	if got := say("d", "deplyo api", 1)[0]; !strings.Contains(got.String(), "Did you mean `deploy ") {
		t.Errorf("an unknown command: %v", got)
	}
	// Help follows a rule that is dropped in.
	r.write("late.star", "def clock(e):\n    \"\"\"Says the time.\"\"\"\n    return \"noon\"\non.mention(\"clock\", clock, args = \"\")\n")
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, _ := say("e", "help", 1)[0].args["text"].(string)
	if !strings.Contains(text, "• `deploy &lt;app&gt; [env=staging|prod]`  Ships an app.") || !strings.Contains(text, "• `clock`  Says the time.") {
		t.Errorf("help: %s", text)
	}
	for text, want := range map[string]string{
		"/deploy":        "No rule answers /deploy. There is: `/deploy status`.",
		"/deploy stauts": "No rule answers /deploy stauts. Did you mean `/deploy status`?",
		"/ops":           "`/ops` works in <#COTHER>.",
	} {
		name, rest, _ := strings.Cut(text, " ")
		if _, got := r.send("/slack/commands", formBody, s.command(name, rest, "t"+text)); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func appMention(id, text string) []byte {
	return []byte(strings.NewReplacer(`"type":"message"`, `"type":"app_mention"`, `"Ev`, `"EvM`).Replace(string(message(id, text))))
}
