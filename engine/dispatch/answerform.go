package dispatch

import (
	"net/http"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

const jsonType = "application/json; charset=utf-8"

// answerFor renders a handler's return value as the answer of its kind of
// event; ok is false if it is none of the legal ones.
func answerFor(e *event.Event, v runtime.Value) (a *event.Answer, ok bool) {
	if v == nil {
		return emptyAnswer(e), true
	}
	dict, isDict := v.(*runtime.Dict)
	if http := replyOf(dict); http != nil && e.Kind != event.Webhook {
		// What a rule says of the body holds for Slack too: it is sent as it is.
		if a, ok = httpReply(http); ok {
			a.Status, a.Headers = 0, nil
		}
		return a, ok
	}
	switch e.Kind {
	case event.Command:
		if m := messageOf(v); m != nil {
			return jsonAnswer(m), true
		}
	case event.Submit:
		if isDict {
			switch dict.Text("response_action") {
			case "errors", "update", "push", "clear":
				return jsonAnswer(dict), true
			}
		}
	case event.Options:
		return optionsAnswer(v)
	case event.Webhook:
		return webhookAnswer(v)
	case event.Action: // legacy attachments and dialogs
		if isDict {
			return jsonAnswer(dict), true
		}
		if m := messageOf(v); m != nil {
			return jsonAnswer(m), true
		}
	}
	return nil, false
}

// emptyAnswer is what says nothing for the kind of event; nil is an empty 200.
func emptyAnswer(e *event.Event) *event.Answer {
	if e.Kind == event.Options {
		return jsonAnswer(runtime.NewDict("options", runtime.List{}))
	}
	return nil
}

// waitingAnswer is what the sender of an event is told whose rule waits: a
// webhook is taken in, not done.
func waitingAnswer(e *event.Event) *event.Answer {
	if e.Kind == event.Webhook {
		return &event.Answer{Status: http.StatusAccepted}
	}
	return emptyAnswer(e)
}

// maxOptions is Slack's limit of options in one answer.
const maxOptions = 100

func optionsAnswer(v runtime.Value) (*event.Answer, bool) {
	switch v := v.(type) {
	case runtime.List:
		if len(v) > maxOptions {
			v = v[:maxOptions]
		}
		return jsonAnswer(runtime.NewDict("options", v)), true
	case *runtime.Dict:
		_, options := v.Get("options")
		_, groups := v.Get("option_groups")
		return jsonAnswer(v), options != groups
	}
	return nil, false
}

// webhookAnswer takes text, bytes, a dict or list (JSON), or what http_reply made.
func webhookAnswer(v runtime.Value) (*event.Answer, bool) {
	switch v := v.(type) {
	case string:
		return &event.Answer{ContentType: "text/plain; charset=utf-8", Body: []byte(v)}, true
	case []byte:
		return &event.Answer{ContentType: "application/octet-stream", Body: v}, true
	case runtime.List:
		return jsonAnswer(v), true
	case *runtime.Dict:
		if http, ok := v.Get(httpReplyKey); ok {
			d, _ := http.(*runtime.Dict)
			return httpReply(d)
		}
		return jsonAnswer(v), true
	}
	return nil, false
}

// httpReplyKey marks the dict that the built-in http_reply makes.
const httpReplyKey = "$http"

// replyOf returns what http_reply made, or nil.
func replyOf(dict *runtime.Dict) *runtime.Dict {
	v, _ := dict.Get(httpReplyKey)
	d, _ := v.(*runtime.Dict)
	return d
}

func httpReply(d *runtime.Dict) (*event.Answer, bool) {
	a := &event.Answer{}
	if n, ok := d.Get("status"); ok {
		status, _ := n.(int64)
		if status < 200 || status > 599 {
			return nil, false
		}
		a.Status = int(status)
	}
	if body, ok := d.Get("body"); ok {
		switch body := body.(type) {
		case string:
			a.Body, a.ContentType = []byte(body), "text/plain; charset=utf-8"
		case []byte:
			a.Body, a.ContentType = body, "application/octet-stream"
		}
	}
	if v, ok := d.Get("json"); ok {
		j := jsonAnswer(v)
		if j == nil {
			return nil, false
		}
		a.Body, a.ContentType = j.Body, j.ContentType
	}
	if h, _ := d.Get("headers"); h != nil {
		headers, _ := h.(*runtime.Dict)
		for i := 0; i < headers.Len(); i++ {
			f := headers.Fields[i]
			a.Headers = append(a.Headers, event.Header{Name: f.Key, Value: textOf(f.Value)})
		}
	}
	if c, _ := d.Get("cookies"); c != nil {
		cookies, _ := c.(*runtime.Dict)
		for i := 0; i < cookies.Len(); i++ {
			f := cookies.Fields[i]
			a.Headers = append(a.Headers, event.Header{Name: "Set-Cookie", Value: f.Key + "=" + textOf(f.Value)})
		}
	}
	return a, true
}

// abortAnswer is the answer that the built-in abort asks for by failing.
func abortAnswer(fail *runtime.Error) *event.Answer {
	if fail.Kind != runtime.AbortError {
		return nil
	}
	return &event.Answer{Status: fail.Status, ContentType: "text/plain; charset=utf-8", Body: []byte(fail.Msg)}
}

// messageOf reads a return value as a message: text, or a dict with text,
// blocks or attachments. nil if it is neither.
func messageOf(v runtime.Value) *runtime.Dict {
	switch v := v.(type) {
	case string:
		if v != "" {
			return runtime.NewDict("text", v)
		}
	case *runtime.Dict:
		for _, k := range [...]string{"text", "blocks", "attachments"} {
			if _, ok := v.Get(k); ok {
				return v
			}
		}
	}
	return nil
}

func jsonAnswer(v runtime.Value) *event.Answer {
	body, err := runtime.AppendJSON(nil, v)
	if err != nil {
		return nil
	}
	return &event.Answer{ContentType: jsonType, Body: body}
}

// plain turns lazily read JSON into dicts and lists.
func plain(v runtime.Value) runtime.Value {
	switch v := v.(type) {
	case runtime.JSON:
		if p, err := runtime.ParseJSON(v); err == nil {
			return p
		}
		return nil
	case *runtime.View:
		return v.Value()
	}
	return v
}

func textOf(v runtime.Value) string {
	if s, ok := v.(string); ok {
		return s
	}
	b, _ := runtime.AppendJSON(nil, v)
	return string(b)
}

// viewID and firstInput read the two things of a view that late and failed
// answers need.
func viewID(raw []byte) runtime.Value {
	if view := viewOf(raw); view != nil {
		id, _ := view.Get("id")
		return id
	}
	return nil
}

func firstInput(raw []byte) string {
	view := viewOf(raw)
	if view == nil {
		return ""
	}
	blocks, _ := view.Get("blocks")
	list, _ := blocks.(*runtime.View)
	for i := 0; list != nil && i < list.Len(); i++ {
		if b, ok := list.Index(i).(*runtime.View); ok {
			if kind, _ := b.Get("type"); kind == "input" {
				id, _ := b.Get("block_id")
				text, _ := id.(string)
				return text
			}
		}
	}
	return ""
}

func viewOf(raw []byte) *runtime.View {
	w, err := runtime.ParseView(raw)
	if err != nil {
		return nil
	}
	v, _ := w.Get("view")
	view, _ := v.(*runtime.View)
	return view
}

// encodeAnswer and decodeAnswer carry an answer to the process that waits.
func encodeAnswer(a *event.Answer) []byte {
	if a == nil {
		return nil
	}
	headers := make(runtime.List, 0, 2*len(a.Headers))
	for _, h := range a.Headers {
		headers = append(headers, h.Name, h.Value)
	}
	return runtime.Encode(nil, runtime.List{int64(a.Status), a.ContentType, a.Body, headers})
}

func decodeAnswer(b []byte) (*event.Answer, error) {
	if len(b) == 0 {
		return nil, nil
	}
	v, err := runtime.Decode(b)
	if err != nil {
		return nil, err
	}
	l, _ := v.(runtime.List)
	if len(l) != 4 {
		return nil, runtime.ErrBadEncoding
	}
	status, _ := l[0].(int64)
	a := &event.Answer{Status: int(status)}
	a.ContentType, _ = l[1].(string)
	body, _ := l[2].([]byte)
	a.Body = append([]byte(nil), body...)
	headers, _ := l[3].(runtime.List)
	for i := 0; i+1 < len(headers); i += 2 {
		a.Headers = append(a.Headers, event.Header{Name: textOf(headers[i]), Value: textOf(headers[i+1])})
	}
	return a, nil
}
