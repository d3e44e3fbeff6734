package sim

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"
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

// stateOf is the state of one element: plain is what a person chose (a text,
// an option's value, a list of them), or nil for what it begins with.
func (w *World) stateOf(el Block, plain any) Block {
	kind, _ := el["type"].(string)
	key := stateKey[kind]
	if key == "" {
		return nil
	}
	out := Block{"type": kind, key: nil}
	if plain == nil {
		if v, ok := el[initialKey[key]]; ok {
			out[key] = v
		} else if plural(key) {
			out[key] = []any{}
		}
		return out
	}
	switch key {
	case "selected_option":
		if o := w.option(el, plain); o != nil {
			out[key] = o
		}
	case "selected_options":
		picked := []any{}
		for _, p := range list(plain) {
			if o := w.option(el, p); o != nil {
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
		out[key] = Block{"type": "rich_text", "elements": w.richText(escaper.Replace(text(plain)))[0]["elements"]}
	default:
		if s := text(plain); s != "" {
			out[key] = s
		}
	}
	return out
}

func plural(key string) bool { return key[len(key)-1] == 's' }

// list takes one value as a list of one.
func list(v any) []any {
	if l, ok := v.([]any); ok {
		return l
	}
	if s, ok := v.(string); ok && s == "" {
		return []any{}
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
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	case bool:
		return strconv.FormatBool(v)
	case Block:
		return text(v["value"])
	}
	return ""
}

// option finds the option with a value among those an element offers, or was
// offered by the app.
func (w *World) option(el Block, plain any) Block {
	value := text(plain)
	for _, o := range optionsOf(el) {
		if o["value"] == value {
			return o
		}
	}
	return w.options[optionKey(el, value)]
}

// optionsOf lists the options in {options} or {option_groups}.
func optionsOf(b Block) []Block {
	out := blockList(b["options"])
	for _, g := range blockList(b["option_groups"]) {
		out = append(out, blockList(g["options"])...)
	}
	return out
}

func optionKey(el Block, value string) string {
	id, _ := el["action_id"].(string)
	return id + "\x00" + value
}

// stateValues is `state.values`: the state of every input in blocks. values
// holds what a person chose, by block_id and action_id, or by action_id alone.
func (w *World) stateValues(blocks []Block, values Block) Block {
	out := Block{}
	for _, b := range blocks {
		id, _ := b["block_id"].(string)
		for _, el := range elements(b) {
			action, _ := el["action_id"].(string)
			if el["type"] == "overflow" {
				continue // it keeps no state
			}
			st := w.stateOf(el, given(values, id, action))
			if st == nil {
				continue
			}
			in, ok := out[id].(Block)
			if !ok {
				in = Block{}
				out[id] = in
			}
			in[action] = st
		}
	}
	return out
}

func given(values Block, block, action string) any {
	if in, ok := values[block].(Block); ok {
		if v, ok := in[action]; ok {
			return v
		}
	}
	if _, nested := values[action].(Block); nested {
		return nil
	}
	return values[action]
}

// checkInputs is what Slack's own client refuses before it asks the app.
func checkInputs(blocks []Block, state Block) map[string]string {
	bad := map[string]string{}
	for _, b := range blocks {
		el, _ := b["element"].(Block)
		if b["type"] != "input" || el == nil {
			continue
		}
		id, _ := b["block_id"].(string)
		action, _ := el["action_id"].(string)
		in, _ := state[id].(Block)
		st, _ := in[action].(Block)
		kind, _ := el["type"].(string)
		v := st[stateKey[kind]]
		if l, ok := v.([]any); v == nil || (ok && len(l) == 0) {
			if optional, _ := b["optional"].(bool); !optional {
				bad[id] = "Please complete this required field."
			}
			continue
		}
		if s, ok := v.(string); ok {
			n := utf8.RuneCountInString(s)
			if least := number(el["min_length"]); n < least {
				bad[id] = "Please enter at least " + strconv.Itoa(least) + " characters."
			}
			if most := number(el["max_length"]); most > 0 && n > most {
				bad[id] = "Please enter at most " + strconv.Itoa(most) + " characters."
			}
			if kind == "number_input" {
				if _, err := strconv.ParseFloat(s, 64); err != nil {
					bad[id] = "Please enter a number."
				}
			}
		}
	}
	return bad
}

func number(v any) int {
	n, err := strconv.Atoi(text(v))
	if err != nil {
		return 0
	}
	return n
}
