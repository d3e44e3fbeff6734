package payload

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// stateKey is where the state of an element of each type holds its value.
var stateKey = map[string]string{
	"static_select": "selected_option", "external_select": "selected_option", "radio_buttons": "selected_option",
	"overflow": "selected_option", "multi_static_select": "selected_options", "multi_external_select": "selected_options",
	"checkboxes": "selected_options", "users_select": "selected_user", "multi_users_select": "selected_users",
	"conversations_select": "selected_conversation", "multi_conversations_select": "selected_conversations",
	"channels_select": "selected_channel", "multi_channels_select": "selected_channels",
	"datepicker": "selected_date", "timepicker": "selected_time", "datetimepicker": "selected_date_time",
	"plain_text_input": "value", "number_input": "value", "email_text_input": "value", "url_text_input": "value",
	"rich_text_input": "rich_text_value",
}

// initialKey is where an element of each type holds what it begins with.
var initialKey = map[string]string{
	"selected_option": "initial_option", "selected_options": "initial_options", "selected_user": "initial_user",
	"selected_users": "initial_users", "selected_conversation": "initial_conversation",
	"selected_conversations": "initial_conversations", "selected_channel": "initial_channel",
	"selected_channels": "initial_channels", "selected_date": "initial_date", "selected_time": "initial_time",
	"selected_date_time": "initial_date_time", "value": "initial_value", "rich_text_value": "initial_value",
}

// StateKey tells where the state of an element of a type holds its value; ""
// if elements of that type have none.
func StateKey(element string) string { return stateKey[element] }

// Picker knows the options that an element offers beyond those written in it.
// The zero value makes an option of any value for elements without options of
// their own.
type Picker struct {
	// Option finds the option with a value, or returns nil.
	Option func(el Object, value string) Object
	// Rich makes a rich_text block of typed text.
	Rich func(text string) Object
}

func (p Picker) option(el Object, plain any) Object {
	value := text(plain)
	own := OptionsOf(el)
	for _, o := range own {
		if o["value"] == value {
			return o
		}
	}
	switch {
	case p.Option != nil:
		return p.Option(el, value)
	case len(own) > 0:
		return nil
	}
	return Object{"text": Object{"type": "plain_text", "text": value, "emoji": true}, "value": value}
}

// ElementState is the state of one element: plain is what a person chose (a
// text, an option's value, a list of them), or nil for what it begins with.
// It is nil for elements that have none, such as buttons.
func ElementState(el Object, plain any, pick Picker) Object {
	kind, _ := el["type"].(string)
	key := stateKey[kind]
	if key == "" {
		return nil
	}
	out := Object{"type": kind, key: nil}
	if plain == nil {
		if v, ok := el[initialKey[key]]; ok {
			out[key] = v
		} else if strings.HasSuffix(key, "s") {
			out[key] = []any{}
		}
		return out
	}
	switch key {
	case "selected_option":
		if o := pick.option(el, plain); o != nil {
			out[key] = o
		}
	case "selected_options":
		picked := []any{}
		for _, v := range list(plain) {
			if o := pick.option(el, v); o != nil {
				picked = append(picked, o)
			}
		}
		out[key] = picked
	case "selected_users", "selected_conversations", "selected_channels":
		out[key] = list(plain)
	case "selected_date_time":
		if n, err := strconv.ParseInt(text(plain), 10, 64); err == nil {
			out[key] = n
		}
	case "rich_text_value":
		rich := RichText
		if pick.Rich != nil {
			rich = func(s, _ string) Object { return pick.Rich(s) }
		}
		out[key] = Object{"type": "rich_text", "elements": rich(Escape(text(plain)), "")["elements"]}
	default:
		if s := text(plain); s != "" {
			out[key] = s
		}
	}
	return out
}

// State is `state.values`: the state of every input in blocks. values holds
// what a person chose, by block_id and action_id, or by action_id alone.
func State(blocks []Object, values Object, pick Picker) Object {
	out := Object{}
	for _, b := range blocks {
		id, _ := b["block_id"].(string)
		for _, el := range Elements(b) {
			action, _ := el["action_id"].(string)
			if el["type"] == "overflow" {
				continue // it keeps no state
			}
			st := ElementState(el, given(values, id, action), pick)
			if st == nil {
				continue
			}
			in, ok := out[id].(Object)
			if !ok {
				in = Object{}
				out[id] = in
			}
			in[action] = st
		}
	}
	return out
}

func given(values Object, block, action string) any {
	if in, ok := values[block].(Object); ok {
		if v, ok := in[action]; ok {
			return v
		}
	}
	if _, nested := values[action].(Object); nested {
		return nil
	}
	return values[action]
}

// Inputs makes an input block for each of values, so that a view can be
// submitted of which nothing is known but what was entered: a list is a choice
// of several, anything else a text.
func Inputs(values Object) []any {
	out := []any{}
	for _, id := range slices.Sorted(maps.Keys(values)) {
		block, element := id, Object{"type": "plain_text_input", "action_id": id}
		v := values[id]
		if in, ok := v.(Object); ok { // by block_id and action_id
			for _, action := range slices.Sorted(maps.Keys(in)) {
				el := Object{"type": "plain_text_input", "action_id": action}
				if _, many := in[action].([]any); many {
					el["type"] = "multi_external_select"
				}
				out = append(out, input(block, el))
			}
			continue
		}
		if _, many := v.([]any); many {
			element["type"] = "multi_external_select"
		}
		out = append(out, input(block, element))
	}
	return out
}

func input(block string, el Object) Object {
	return Object{
		"type": "input", "block_id": block, "optional": false, "dispatch_action": false, "element": el,
		"label": Object{"type": "plain_text", "text": text(el["action_id"]), "emoji": true},
	}
}

// Elements lists the interactive elements of a block.
func Elements(b Object) []Object {
	switch b["type"] {
	case "section":
		if a, ok := b["accessory"].(Object); ok && a["type"] != "image" {
			return []Object{a}
		}
	case "actions", "context_actions":
		return Objects(b["elements"])
	case "input":
		if el, ok := b["element"].(Object); ok {
			return []Object{el}
		}
	}
	return nil
}

// Find finds an element by its ids; an empty blockID matches all.
func Find(blocks []Object, blockID, actionID string) (block, el Object) {
	for _, b := range blocks {
		if blockID != "" && b["block_id"] != blockID {
			continue
		}
		for _, e := range Elements(b) {
			if e["action_id"] == actionID {
				return b, e
			}
		}
	}
	return nil, nil
}

// Blocks are the blocks of a message or view, those in attachments included.
func Blocks(o Object) []Object {
	all := Objects(o["blocks"])
	for _, a := range Objects(o["attachments"]) {
		all = append(all, Objects(a["blocks"])...)
	}
	return all
}

// OptionsOf lists the options in {options} or {option_groups}.
func OptionsOf(b Object) []Object {
	out := Objects(b["options"])
	for _, g := range Objects(b["option_groups"]) {
		out = append(out, Objects(g["options"])...)
	}
	return out
}

// Objects reads a JSON list of objects; what is none is left out.
func Objects(v any) []Object {
	switch l := v.(type) {
	case []Object:
		return slices.Clone(l)
	case []any:
		out := make([]Object, 0, len(l))
		for _, x := range l {
			if o, ok := x.(Object); ok {
				out = append(out, o)
			}
		}
		return out
	}
	return nil
}

// list takes one value as a list of one.
func list(v any) []any {
	switch l := v.(type) {
	case []any:
		return l
	case string:
		if l == "" {
			return []any{}
		}
	}
	return []any{v}
}

// text is the text of a scalar, of an option the value.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	case int64:
		return strconv.FormatInt(v, 10)
	case int:
		return strconv.Itoa(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case Object:
		return text(v["value"])
	}
	return ""
}
