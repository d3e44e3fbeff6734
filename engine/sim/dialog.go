package sim

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/payload"
)

// Slack's limits of dialogs, which modals have replaced.
const (
	maxDialogElements = 10
	maxDialogLabel    = 48
	maxDialogName     = 300
	maxDialogState    = 3000
	maxDialogText     = 150  // of a text element that says nothing else
	maxDialogArea     = 3000 // of a textarea
)

// dialog is what a legacy dialog keeps beside the modal that shows it. Its
// elements are the modal's inputs: block_id and action_id are the name.
type dialog struct {
	callback, state string
	tellCancel      bool
	channel         string
}

// dialogOpen is dialog.open; its codes for triggers differ from those of
// views.open.
func dialogOpen(c *call) (Block, error) {
	id := c.str("trigger_id")
	body, err := c.object("dialog")
	switch {
	case err != nil:
		return nil, Code("parsing_error")
	case body == nil:
		return nil, Code("missing_dialog")
	case id == "":
		return nil, Code("missing_trigger")
	}
	user, channel := "", ""
	if t := c.w.triggers[id]; t != nil {
		user, channel = t.user, t.channel
	}
	v, err := c.w.newDialog(body, user, channel)
	if err != nil {
		return nil, err
	}
	if _, err := c.w.useTrigger(id); err != nil {
		codes := map[Code]Code{"invalid_trigger_id": "invalid_trigger", "exchanged_trigger_id": "trigger_exchanged", "expired_trigger_id": "trigger_expired"}
		code, _ := err.(Code)
		return nil, codes[code]
	}
	if v.dialog.channel == "" { // from a global shortcut
		v.dialog.channel = c.w.open(user, c.w.app.UserID).ID
	}
	return Block{}, c.w.openView(v, false)
}

// newDialog checks a dialog and makes the modal that shows it.
func (w *World) newDialog(body Block, user, channel string) (*View, error) {
	bad := &Invalid{Code: "validation_errors"}
	fault := func(format string, args ...any) {
		bad.Messages = append(bad.Messages, "[ERROR] "+fmt.Sprintf(format, args...))
	}
	sized := func(field string, most int, needed bool) string {
		s := text(body[field])
		if n := utf8.RuneCountInString(s); n > most || needed && n == 0 {
			fault("%s must have 1 to %d characters", field, most)
		}
		return s
	}
	title, submit := sized("title", maxTitle, true), or(sized("submit_label", maxTitle, false), "Submit")
	d := &dialog{callback: sized("callback_id", maxID, true), state: sized("state", maxDialogState, false), tellCancel: isTrue(body["notify_on_cancel"]), channel: channel}
	elements := payload.Objects(body["elements"])
	if n := len(elements); n == 0 || n > maxDialogElements {
		fault("elements: need 1 to %d", maxDialogElements)
	}
	blocks, seen := []any{}, map[string]bool{}
	for i, el := range elements {
		at := fmt.Sprintf("element %d", i)
		name, label := text(el["name"]), text(el["label"])
		if n := utf8.RuneCountInString(label); n == 0 || n > maxDialogLabel {
			fault("%s: label must have 1 to %d characters", at, maxDialogLabel)
		}
		if name == "" || len(name) > maxDialogName || seen[name] {
			fault("%s: name is missing, taken or too long", at)
		}
		seen[name] = true
		in := dialogInput(el)
		if in == nil {
			fault("%s: unknown type %q", at, text(el["type"]))
			continue
		}
		in["action_id"] = name
		b := Block{"type": "input", "block_id": name, "label": labelText(label), "element": in, "optional": isTrue(el["optional"])}
		if hint := text(el["hint"]); hint != "" {
			b["hint"] = labelText(hint)
		}
		blocks = append(blocks, b)
	}
	if bad.Messages != nil {
		return nil, bad
	}
	v, err := w.newView(Block{"type": "modal", "title": labelText(title), "submit": labelText(submit), "callback_id": d.callback, "blocks": blocks}, user)
	if err != nil {
		return nil, Code("cannot_create_dialog")
	}
	v.dialog = d
	return v, nil
}

func labelText(s string) Block { return Block{"type": "plain_text", "text": s, "emoji": true} }

// dialogInput is the element of a modal that is a dialog's, nil if its type is
// none of a dialog's.
func dialogInput(el Block) Block {
	in := Block{}
	if p := text(el["placeholder"]); p != "" {
		in["placeholder"] = labelText(p)
	}
	switch text(el["type"]) {
	case "text", "textarea":
		kinds := map[string]string{"email": "email_text_input", "number": "number_input", "url": "url_text_input"}
		in["type"] = or(kinds[text(el["subtype"])], "plain_text_input")
		most := maxDialogText
		if text(el["type"]) == "textarea" {
			in["type"], in["multiline"], most = "plain_text_input", true, maxDialogArea
		}
		in["max_length"] = most
		for _, k := range []string{"min_length", "max_length"} {
			if el[k] != nil {
				in[k] = el[k]
			}
		}
		if in["type"] == "number_input" {
			in["is_decimal_allowed"] = true
		}
		if v := text(el["value"]); v != "" {
			in["initial_value"] = v
		}
	case "select":
		sources := map[string]string{"users": "users_select", "channels": "channels_select", "conversations": "conversations_select", "external": "external_select"}
		in["type"] = or(sources[text(el["data_source"])], "static_select")
		dialogChoices(in, el)
	default:
		return nil
	}
	return in
}

// dialogChoices gives a select its options and what it begins with.
func dialogChoices(in, el Block) {
	value := text(el["value"])
	switch in["type"] {
	case "static_select":
		if groups := payload.Objects(el["option_groups"]); groups != nil {
			in["option_groups"] = labelled(groups)
		} else {
			in["options"] = blockOptions(el["options"])
		}
		for _, o := range payload.OptionsOf(in) {
			if value != "" && o["value"] == value {
				in["initial_option"] = o
			}
		}
	case "external_select":
		if n := el["min_query_length"]; n != nil {
			in["min_query_length"] = n
		}
		if chosen := blockOptions(el["selected_options"]); len(chosen) > 0 {
			in["initial_option"] = chosen[0]
		}
	default:
		if value != "" {
			in["initial_"+strings.TrimSuffix(text(in["type"]), "s_select")] = value
		}
	}
}

// blockOptions turns the options of a dialog, {label, value}, into those of
// Block Kit, {text, value}.
func blockOptions(list any) []any {
	out := []any{}
	for _, o := range payload.Objects(list) {
		out = append(out, Block{"text": labelText(text(o["label"])), "value": text(o["value"])})
	}
	return out
}

func labelled(groups []Block) []any {
	out := []any{}
	for _, g := range groups {
		out = append(out, Block{"label": labelText(text(g["label"])), "options": blockOptions(g["options"])})
	}
	return out
}

// dialogEnvelope is a dialog_submission, _cancellation or _suggestion; more is
// what it has beside what they share.
func (s *Server) dialogEnvelope(typ string, u *User, v *View, more Block) *envelope {
	w := s.world
	p, trigger := s.interaction(typ, u)
	delete(p, "trigger_id")
	p["callback_id"], p["state"], p["action_ts"] = v.dialog.callback, v.dialog.state, w.nextTS()
	if c := w.channel(v.dialog.channel); c != nil {
		p["channel"] = Block{"id": c.ID, "name": c.commandName()}
	}
	to := s.opt.InteractiveURL
	if typ == "dialog_suggestion" {
		to = s.opt.OptionsURL
	} else {
		p["response_url"] = s.responseURL(hook{channel: v.dialog.channel, user: u.ID})
	}
	for k, x := range more {
		p[k] = x
	}
	return s.formEnvelope(p, trigger, to)
}

// submission is what was typed into a dialog, by name; what is empty is null.
func (v *View) submission() Block {
	out := Block{}
	for _, b := range v.Blocks {
		name := text(b["block_id"])
		el, _ := b["element"].(Block)
		in, _ := v.Values[name].(Block)
		st, _ := in[name].(Block)
		out[name] = nil
		if x := st[payload.StateKey(text(el["type"]))]; x != nil {
			out[name] = text(x)
		}
	}
	return out
}

// dialogAnswer does what an app answered to a submitted dialog and returns the
// errors to show.
func (w *World) dialogAnswer(v *View, a answer) map[string]string {
	general := map[string]string{"": troubled}
	if a.reason != "" || a.status != http.StatusOK {
		return general
	}
	if strings.TrimSpace(string(a.body)) == "" {
		w.closeTop(v)
		return nil
	}
	var body struct {
		Errors []struct{ Name, Error string } `json:"errors"`
	}
	if decode(a.body, &body) != nil {
		return general
	}
	bad := map[string]string{}
	for _, e := range body.Errors {
		if _, ok := v.submission()[e.Name]; !ok || e.Error == "" {
			return general
		}
		bad[e.Name] = e.Error
	}
	if len(bad) == 0 {
		w.closeTop(v)
	}
	return bad
}
