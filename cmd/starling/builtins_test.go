package main

import (
	"encoding/json"
	"maps"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/admin"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/help"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

// A built-in is declared in stdlib, and what it asks for is done in
// engine/door: neither knows the other, so here both are held together.
func TestEveryEffectHasALiveHandler(t *testing.T) {
	t.Parallel()
	store := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = store.Close(t.Context()) })
	slack, err := slackapi.New(slackapi.Options{BaseURL: "http://127.0.0.1:1/api/", Tokens: slackapi.Static{Bot: "xoxb-test"}})
	if err != nil {
		t.Fatal(err)
	}
	web, err := door.NewHTTP(door.HTTPOptions{})
	if err != nil {
		t.Fatal(err)
	}
	live := door.NewLive(door.Deps{Slack: slack, HTTP: web, State: store.State(), Now: time.Now})
	maps.Copy(live, help.New(help.Options{}).Handlers())
	maps.Copy(live, admin.Operations{}.Handlers())
	asked := map[string]bool{}
	for _, b := range stdlib.Builtins() {
		if b.Purity != runtime.Asks {
			continue
		}
		for _, kind := range kinds(b) {
			asked[kind] = true
			if h, ok := live[kind]; !ok || h.Do == nil {
				t.Errorf("%s asks for %s, which nobody does", b.Name, kind)
			}
		}
	}
	// The server tells people by itself that an answer does not count, and has a
	// run that opens a modal wait for a click.
	own := map[string]bool{"starling.tell": true, wait.Trigger: true}
	for kind := range live {
		if !asked[kind] && !own[kind] {
			t.Errorf("no built-in asks for %s", kind)
		}
	}
}

// kinds are the effects that a built-in asks for, as its examples tell.
func kinds(b *runtime.Builtin) (out []string) {
	for _, x := range b.Examples {
		var want struct{ Effect string }
		if json.Unmarshal([]byte(x.Want), &want) == nil && want.Effect != "" {
			out = append(out, want.Effect)
		}
	}
	if len(out) == 0 {
		out = []string{b.Name}
	}
	return out
}
