package door

import (
	"context"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// fill gives a call the arguments that its method needs and the event has.
// What was given stays. The time of the event's message is not taken for a
// message in another channel.
func fill(ctx context.Context, m slackapi.Method, args *runtime.Dict, e *event.Event) {
	ts := e.TS
	if ch := args.Text("channel"); ch != "" && channelRef(ch) != e.Channel {
		ts = ""
	}
	for _, need := range []struct {
		trait slackapi.Trait
		name  string
		value string
	}{
		{slackapi.NeedChannel, "channel", e.Channel},
		{slackapi.NeedTS, "ts", ts},
		{slackapi.NeedTimestamp, "timestamp", ts},
		{slackapi.NeedMessageTS, "message_ts", ts},
		{slackapi.NeedUser, "user", e.User},
		{slackapi.NeedUserID, "user_id", e.User},
		{slackapi.NeedTrigger, "trigger_id", e.TriggerID},
	} {
		if !m.Has(need.trait) || need.value == "" {
			continue
		}
		if _, given := args.Get(need.name); given {
			continue
		}
		if replaced(args, need.name) {
			continue
		}
		args.Set(need.name, need.value)
		note(ctx, "filled "+need.name)
	}
}

// replaced reports whether another argument stands for the missing one: a
// reaction on a file needs no channel.
func replaced(args *runtime.Dict, name string) bool {
	var others []string
	switch name {
	case "channel", "timestamp":
		others = []string{"file", "file_comment", "full"}
	case "trigger_id":
		others = []string{"interactivity_pointer"}
	}
	for _, o := range others {
		if _, ok := args.Get(o); ok {
			return true
		}
	}
	return false
}
