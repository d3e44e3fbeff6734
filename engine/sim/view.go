package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/payload"
)

// Slack's limits of views.
const (
	maxStack = 3
	maxView  = 250_000 // bytes of JSON
	maxTitle = 24
)

// View is a modal or an App Home.
type View struct {
	ID         string            `json:"id"`
	Hash       string            `json:"hash"`
	User       string            `json:"user"`
	Type       string            `json:"type"` // modal, home
	RootID     string            `json:"root_view_id"`
	PreviousID string            `json:"previous_view_id,omitempty"`
	ExternalID string            `json:"external_id,omitempty"`
	Body       Block             `json:"body"` // as the app gave it
	Blocks     []Block           `json:"blocks"`
	Values     Block             `json:"values"` // state.values
	Errors     map[string]string `json:"errors,omitempty"`

	dialog *dialog // of a legacy dialog that is shown as a modal
}

// wire is the view as the app sees it.
func (v *View) wire(w *World) Block {
	b := Block{
		"private_metadata": "", "callback_id": "", "title": Block{"type": "plain_text", "text": "", "emoji": true},
		"close": nil, "submit": nil, "clear_on_close": false, "notify_on_close": false,
	}
	for k, x := range v.Body {
		b[k] = x
	}
	var previous any
	if v.PreviousID != "" {
		previous = v.PreviousID
	}
	for k, x := range (Block{
		"id": v.ID, "team_id": w.team.ID, "type": v.Type, "blocks": v.Blocks, "hash": v.Hash,
		"state": Block{"values": v.Values}, "previous_view_id": previous, "root_view_id": v.RootID,
		"app_id": w.app.ID, "external_id": v.ExternalID, "app_installed_team_id": w.team.ID, "bot_id": w.app.BotID,
	}) {
		b[k] = x
	}
	return b
}

// newView checks what an app gives as a view.
func (w *World) newView(body Block, user string) (*View, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, Code("invalid_arguments")
	}
	if len(raw) > maxView {
		return nil, Code("view_too_large")
	}
	if err := decode(raw, &body); err != nil { // own copy: ids are added below
		return nil, Code("invalid_arguments")
	}
	v := &View{ID: w.newID("V"), User: user, Body: body, Blocks: payload.Objects(body["blocks"])}
	v.Type, _ = body["type"].(string)
	v.ExternalID, _ = body["external_id"].(string)
	v.RootID = v.ID
	bad := &Invalid{Code: "invalid_arguments"}
	if v.Type != "modal" && v.Type != "home" {
		bad.Messages = append(bad.Messages, "[ERROR] unsupported type: "+v.Type+" [json-pointer:/view/type]")
	}
	if _, ok := body["blocks"].([]any); !ok {
		bad.Messages = append(bad.Messages, "[ERROR] missing required field: blocks [json-pointer:/view]")
	}
	if v.Type == "modal" {
		title, _ := body["title"].(Block)
		s, _ := title["text"].(string)
		if n := utf8.RuneCountInString(s); n == 0 || n > maxTitle {
			bad.Messages = append(bad.Messages, fmt.Sprintf("[ERROR] title must have 1 to %d characters [json-pointer:/view/title]", maxTitle))
		}
		if body["submit"] == nil && slices.ContainsFunc(v.Blocks, func(b Block) bool { return b["type"] == "input" }) {
			bad.Messages = append(bad.Messages, "[ERROR] missing required field: submit (the view has inputs) [json-pointer:/view/submit]")
		}
	}
	if bad.Messages != nil {
		return nil, bad
	}
	if err := w.checkBlocks(v.Blocks, maxViewBlocks); err != nil {
		err.(*Invalid).Code = "invalid_arguments"
		return nil, err
	}
	v.Hash = w.hash()
	v.Values = w.stateValues(v.Blocks, nil)
	return v, nil
}

func (w *World) hash() string { return fmt.Sprintf("%d.%s", w.now().Unix(), w.random(8)) }

// openView puts a view on top of a person's stack; push keeps what is there.
func (w *World) openView(v *View, push bool) error {
	stack := w.modals[v.User]
	if !push {
		stack = nil
	}
	if len(stack) >= maxStack {
		return Code("push_limit_reached")
	}
	if n := len(stack); n > 0 {
		v.RootID, v.PreviousID = stack[0].ID, stack[n-1].ID
	}
	w.setStack(v.User, append(slices.Clone(stack), v))
	return nil
}

func (w *World) setStack(user string, stack []*View) {
	w.modals[user] = stack
	if stack == nil {
		stack = []*View{}
	}
	w.log.add("modal", Block{"user": user, "stack": stack})
}

// view finds an open view by id or external id.
func (w *World) view(id, external string) *View {
	match := func(v *View) bool { return (id != "" && v.ID == id) || (external != "" && v.ExternalID == external) }
	for _, stack := range w.modals {
		for _, v := range stack {
			if match(v) {
				return v
			}
		}
	}
	for _, v := range w.homes {
		if match(v) {
			return v
		}
	}
	return nil
}

// replaceView gives an open view new content; its place and id stay.
func (w *World) replaceView(old, fresh *View) *View {
	fresh.ID, fresh.RootID, fresh.PreviousID = old.ID, old.RootID, old.PreviousID
	// What a person has typed stays if block and action keep their ids.
	for block, in := range fresh.Values {
		for action, st := range in.(Block) {
			was, _ := old.Values[block].(Block)
			if kept, ok := was[action].(Block); ok && kept["type"] == st.(Block)["type"] {
				in.(Block)[action] = kept
			}
		}
	}
	if old.Type == "home" {
		w.homes[old.User] = fresh
		w.log.add("home", fresh)
		return fresh
	}
	stack := slices.Clone(w.modals[old.User])
	if i := slices.Index(stack, old); i >= 0 {
		stack[i] = fresh
		w.setStack(old.User, stack)
	}
	return fresh
}
