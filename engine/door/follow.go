package door

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// followLife is how long a message can be edited and its answer follows.
const followLife = 7 * 24 * time.Hour

// said is what stands in a conversation in the place of one effect: the
// messages that it took, in order.
type said struct {
	channel string
	ts      []string
}

// followKey names what a rule has said about the event's message with its nth
// message. The part is the script's, so that nobody else reads it.
func followKey(r *Run) string {
	e := r.Event
	return strings.Join([]string{"follow", e.Team, e.Channel, e.TS, strconv.Itoa(r.Posts()), r.Rule}, "/")
}

// follows reports whether what is said has to be found again when the message
// of the event is edited.
func (l *live) follows(r *Run) bool {
	return r.Follow && r.Posts != nil && l.State != nil && r.Event.Channel != "" && r.Event.TS != ""
}

// earlier is what was said in the place of this effect before the edit.
func (l *live) earlier(ctx context.Context, r *Run) (said, error) {
	if !l.follows(r) || !r.Event.Edited {
		return said{}, nil
	}
	b, err := l.State.Get(ctx, followKey(r))
	if errors.Is(err, queue.ErrNotFound) {
		return said{}, nil
	}
	if err != nil {
		return said{}, err
	}
	fields := strings.Fields(string(b))
	if len(fields) < 2 {
		return said{}, nil
	}
	return said{fields[0], fields[1:]}, nil
}

// remember notes what stands there now. That it cannot be noted is no failure
// of the message, which is sent.
func (l *live) remember(ctx context.Context, r *Run, e runtime.Effect, s said) {
	if !l.follows(r) || s.channel == "" || len(s.ts) == 0 {
		return
	}
	text := s.channel + " " + strings.Join(s.ts, " ")
	_, err := l.State.Update(ctx, followKey(r), r.Key(e)+".follow", false, func([]byte, bool) (queue.Change, error) {
		return queue.Change{Value: []byte(text), TTL: followLife}, nil
	})
	if err != nil {
		l.Logger.Warn("an answer is not noted: it will not follow an edit", "rule", r.Rule, "run", r.ID, "err", err)
	}
}

// change turns the posting of a message into the change of the one that stands
// in its place.
func (s said) change(c call, part int) call {
	if part >= len(s.ts) || c.method != "chat.postMessage" {
		return c
	}
	c.method, c.args = "chat.update", c.args.Clone()
	c.args.Set("channel", s.channel)
	c.args.Set("ts", s.ts[part])
	c.args.Delete("thread_ts")
	c.args.Delete("reply_broadcast")
	for _, name := range [...]string{"blocks", "attachments"} {
		if v, _ := c.args.Get(name); v == nil {
			c.args.Set(name, runtime.List{}) // what is not said any more goes
		}
	}
	return c
}

// gone reports whether a message cannot be changed because it is not there, or
// not the bot's any more.
func gone(code string) bool {
	return code == "message_not_found" || code == "cant_update_message" || code == "edit_window_closed"
}
