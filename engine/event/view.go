package event

import (
	"maps"
	"sort"
	"strconv"

	"github.com/valyala/fastjson"

	"github.com/starling-rules/starling/runtime"
)

// View is what a script sees as `e`. Fields that the Event already holds cost
// nothing but the read; everything else is taken from the raw payload, which
// is parsed when the first such field is looked at and never converted as a
// whole. A View belongs to one goroutine at a time.
type View struct {
	e *Event
	m *Match

	parsed bool
	root   *fastjson.Value // the payload, if it is JSON
	cache  map[string]runtime.Value
}

// NewView shows an event to a script. m may be nil.
func NewView(e *Event, m *Match) *View { return &View{e: e, m: m} }

// Host makes the argument of a handler from the form in which it travels
// (AppendInput). The view shares b's memory, which must not change while it is in use.
func Host(b []byte) (runtime.Object, error) {
	in, err := DecodeInput(b)
	if err != nil {
		return nil, err
	}
	return NewView(in.Event, in.Match), nil
}

var _ runtime.Object = (*View)(nil)

// Event returns the event behind the view.
func (v *View) Event() *Event { return v.e }

// TypeName is what type(e) says.
func (v *View) TypeName() string { return "event" }

// Field returns a field of the event (SPEC §6).
func (v *View) Field(name string) (runtime.Value, bool) {
	f, ok := viewFields[name]
	if !ok {
		return nil, false
	}
	if f.head != nil {
		return f.head(v), true
	}
	if x, ok := v.cache[name]; ok {
		return x, true
	}
	x := f.compute(v)
	if v.cache == nil {
		v.cache = make(map[string]runtime.Value, 4)
	}
	v.cache[name] = x
	return x, true
}

// FieldNames lists all fields, sorted.
func (v *View) FieldNames() []string { return FieldNames() }

// FieldNames lists the fields of every event, sorted. The caller must not change it.
func FieldNames() []string { return viewFieldNames }

var viewFieldNames = func() []string {
	names := make([]string, 0, len(viewFields))
	for n := range viewFields {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}()

// viewField is how a field is found: head from the Event alone, compute once,
// from the payload or the text.
type viewField struct {
	head    func(*View) runtime.Value
	compute func(*View) runtime.Value
}

func head(get func(*View) runtime.Value) viewField      { return viewField{head: get} }
func computed(make func(*View) runtime.Value) viewField { return viewField{compute: make} }

// text is a string field of the Event; "" is None.
func text(get func(*Event) string) viewField {
	return head(func(v *View) runtime.Value {
		if s := get(v.e); s != "" {
			return s
		}
		return nil
	})
}

// payload is a field of the payload, at the first of the paths where there is one.
func payload(paths ...[]string) viewField {
	return computed(func(v *View) runtime.Value {
		for _, p := range paths {
			if x := v.get(p...); x != nil {
				return show(x)
			}
		}
		return nil
	})
}

// refs are the tokens of one kind in the text.
func refs(kind TokenKind) viewField {
	return computed(func(v *View) runtime.Value {
		if !v.e.hasText() {
			return nil
		}
		ids := Refs(v.e.Text, kind)
		l := make(runtime.List, len(ids))
		for i, id := range ids {
			l[i] = id
		}
		return l
	})
}

// hasText reports whether events of this kind have a text, though it may be empty.
func (e *Event) hasText() bool {
	return e.Kind == Message || e.Kind == Mention || e.Kind == Command || e.Text != ""
}

// viewFields are the fields of an event.
var viewFields = withRequest(map[string]viewField{
	"id":           text(func(e *Event) string { return e.ID }),
	"kind":         text(func(e *Event) string { return string(e.Kind) }),
	"type":         text(func(e *Event) string { return e.Type }),
	"subtype":      text(func(e *Event) string { return e.Subtype }),
	"team":         text(func(e *Event) string { return e.Team }),
	"app":          text(func(e *Event) string { return e.App }),
	"bot":          text(func(e *Event) string { return e.Bot }),
	"bot_user":     text(func(e *Event) string { return e.BotUser }),
	"enterprise":   text(func(e *Event) string { return e.Enterprise }),
	"user":         text(func(e *Event) string { return e.User }),
	"channel":      text(func(e *Event) string { return e.Channel }),
	"ts":           text(func(e *Event) string { return e.TS }),
	"thread_ts":    text(func(e *Event) string { return e.ThreadTS }),
	"event_ts":     text(func(e *Event) string { return e.EventTS }),
	"command":      text(func(e *Event) string { return e.Command }),
	"callback_id":  text(func(e *Event) string { return e.CallbackID }),
	"trigger_id":   text(func(e *Event) string { return e.TriggerID }),
	"response_url": text(func(e *Event) string { return e.ResponseURL }),
	"reaction":     text(func(e *Event) string { return e.Reaction }),
	"retry_reason": text(func(e *Event) string { return e.RetryReason }),

	"retry":     head(func(v *View) runtime.Value { return int64(v.e.Retry) }),
	"received":  head(func(v *View) runtime.Value { return seconds(v.e.Received) }),
	"edited":    head(func(v *View) runtime.Value { return v.e.Edited }),
	"removed":   head(func(v *View) runtime.Value { return v.e.Removed }),
	"directed":  computed(func(v *View) runtime.Value { return v.e.Directed() }),
	"mentioned": computed(func(v *View) runtime.Value { return v.e.Mentioned() }),
	"text": head(func(v *View) runtime.Value {
		if v.e.hasText() {
			return v.e.Text
		}
		return nil
	}),
	"plain_text": computed(func(v *View) runtime.Value {
		if v.e.hasText() {
			return Plain(v.e.Text)
		}
		return nil
	}),
	"options_query": head(func(v *View) runtime.Value {
		if v.e.Kind == Options || v.e.Type == "dialog_suggestion" {
			return v.e.Query
		}
		return nil
	}),
	"scheduled_at": head(func(v *View) runtime.Value {
		if v.e.Kind == Schedule {
			return seconds(v.e.ScheduledAt)
		}
		return nil
	}),

	"mentions":   refs(UserRef),
	"channels":   refs(ChannelRef),
	"usergroups": refs(GroupRef),
	"specials":   refs(SpecialRef),
	"links":      refs(LinkRef),
	"emails":     refs(EmailRef),
	"emoji":      refs(EmojiRef),

	"files":  payload([]string{"event", "files"}, []string{"event", "message", "files"}, []string{"message", "files"}),
	"blocks": payload([]string{"event", "blocks"}, []string{"event", "message", "blocks"}, []string{"message", "blocks"}),
	"message": payload([]string{"message"}, []string{"original_message"}, []string{"event", "message"},
		[]string{"event", "previous_message"}),
	"item": payload([]string{"event", "item"}),
	// What a conversation or a person has become: message.channel_topic and
	// .channel_purpose, presence_change and manual_presence_change.
	"topic":    payload([]string{"event", "topic"}),
	"purpose":  payload([]string{"event", "purpose"}),
	"presence": payload([]string{"event", "presence"}),
	"view":     payload([]string{"view"}, []string{"event", "view"}),
	"state":    payload([]string{"view", "state"}, []string{"state"}),
	"actions":  payload([]string{"actions"}),
	"action":   computed((*View).action),
	"value":    computed((*View).value),
	"values":   computed((*View).values),
	"raw":      computed((*View).raw),

	"match": computed((*View).match),
	"args":  computed((*View).args),
})

func withRequest(fields map[string]viewField) map[string]viewField {
	maps.Copy(fields, requestFields)
	return fields
}

// document parses the payload at the first call.
func (v *View) document() *fastjson.Value {
	if v.parsed {
		return v.root
	}
	v.parsed = true
	if v.e.Encoding != JSON || len(v.e.Raw) == 0 {
		return nil
	}
	// A malformed event is shown as one without fields; strictness was for the door.
	if root, err := fastjson.ParseBytes(v.e.Raw); err == nil {
		v.root = root
	}
	return v.root
}

// get returns what is at a path of the payload; null counts as absent.
func (v *View) get(path ...string) *fastjson.Value {
	root := v.document()
	if root == nil {
		return nil
	}
	x := root.Get(path...)
	if x == nil || x.Type() == fastjson.TypeNull {
		return nil
	}
	return x
}

// show makes a script's value of a part of the payload: a scalar, or a view.
func show(x *fastjson.Value) runtime.Value {
	if x == nil {
		return nil
	}
	return runtime.NewView(x).Scalar()
}

// match is a dict of the groups, by number ("0" is the whole match) and name.
func (v *View) match() runtime.Value {
	if v.m == nil || len(v.m.Groups) == 0 {
		return nil
	}
	d := &runtime.Dict{Fields: make([]runtime.Field, 0, 2*len(v.m.Groups))}
	group := func(i int) runtime.Value {
		if v.m.Present[i] {
			return v.m.Groups[i]
		}
		return nil
	}
	for i := range v.m.Groups {
		d.Fields = append(d.Fields, runtime.Field{Key: strconv.Itoa(i), Value: group(i)})
	}
	for i, n := range v.m.Names {
		if n != "" {
			d.Set(n, group(i))
		}
	}
	return d
}

func (v *View) args() runtime.Value {
	if v.m == nil || v.m.Args == nil || v.e.Kind == Webhook {
		return nil
	}
	return v.m.Args
}
