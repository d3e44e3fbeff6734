package slackapi

import (
	"context"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// messageTTL is how long a message is remembered: edits are seen only where
// Slack reports them.
const messageTTL = 5 * time.Minute

// Message looks one message of a conversation up by its timestamp, in a thread
// or not, and returns Slack's object. One that is not there is ErrNotFound.
func (c *Client) Message(ctx context.Context, channel, ts string, o CallOptions) (runtime.JSON, error) {
	id, err := c.ChannelID(ctx, channel, o)
	if err != nil {
		return nil, err
	}
	return c.messages.get(ctx, keyOf(o, id+"/"+ts), time.Time{}, func(ctx context.Context) (runtime.JSON, error) {
		for _, call := range []struct {
			method string
			args   *runtime.Dict
		}{
			{"conversations.history", runtime.NewDict("channel", id, "latest", ts, "inclusive", true, "limit", int64(1))},
			// A reply is in no history but its thread's.
			{"conversations.replies", runtime.NewDict("channel", id, "ts", ts, "oldest", ts, "latest", ts, "inclusive", true, "limit", int64(2))},
		} {
			r, err := c.Call(ctx, call.method, call.args, o)
			switch {
			case err != nil:
				return nil, err
			case !r.OK && r.Error == "thread_not_found":
				continue
			case !r.OK:
				return nil, refused(call.method, r)
			}
			if m := messageAt(r.Get("messages"), ts); m != nil {
				return m, nil
			}
		}
		return nil, &Error{Method: "conversations.history", Code: "message_not_found"}
	})
}

// messageAt picks the message of a timestamp out of a list.
func messageAt(list runtime.Value, ts string) runtime.JSON {
	text, _ := list.(runtime.JSON)
	w, err := runtime.ParseView(text)
	if err != nil || !w.IsList() {
		return nil
	}
	for i := range w.Len() {
		m, _ := w.Index(i).(*runtime.View)
		if m != nil && m.IsDict() && str(m, "ts") == ts {
			return m.JSON()
		}
	}
	return nil
}
