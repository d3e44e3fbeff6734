package ui

import (
	"regexp"
	"strconv"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// schema holds the fields of blocks, elements and views by Slack's type.
type schema map[string][]field

func need(name string, r rule) field  { return field{name, true, r} }
func maybe(name string, r rule) field { return field{name, false, r} }

var (
	plain75   = textObject(maxButton, true)
	blockID   = maybe("block_id", text(1, maxID))
	actionID  = maybe("action_id", text(1, maxID))
	confirmOf = maybe("confirm", object(
		need("title", textObject(100, true)), need("text", textObject(300, false)),
		need("confirm", textObject(30, true)), need("deny", textObject(30, true)),
		maybe("style", oneOf("primary", "danger"))))
	placeholder = maybe("placeholder", textObject(maxHint, true))
	optionRule  = object(
		need("text", textObject(maxOption, false)), need("value", text(1, maxOptVal)),
		maybe("description", textObject(maxOption, false)), maybe("url", text(1, maxURL)))
	groupRule = object(need("label", textObject(maxOption, true)), need("options", list(1, maxOptions, optionRule)))
	focus     = maybe("focus_on_load", boolean)
)

// blocks are the layout blocks that are checked; unknown types pass.
var blocks = schema{
	"section": {
		blockID, maybe("text", textObject(maxText, false)), maybe("fields", list(1, maxFields, textObject(maxField, false))),
		maybe("accessory", element), maybe("expand", boolean),
	},
	"header":   {blockID, need("text", textObject(maxHeader, true))},
	"divider":  {blockID},
	"image":    {blockID, maybe("image_url", text(1, maxURL)), need("alt_text", text(1, maxLabel)), maybe("title", textObject(maxLabel, true))},
	"context":  {blockID, need("elements", list(1, maxContext, contextPart))},
	"actions":  {blockID, need("elements", list(1, maxActions, element))},
	"markdown": {need("text", text(1, maxMarkdown))},
	"input": {
		blockID, need("label", textObject(maxLabel, true)), need("element", element), maybe("hint", textObject(maxLabel, true)),
		maybe("optional", boolean), maybe("dispatch_action", boolean),
	},
}

// elements are the block elements that are checked; unknown types pass.
var elements = schema{
	"button": {
		actionID, need("text", plain75), maybe("value", text(0, maxValue)), maybe("url", text(1, maxURL)),
		maybe("style", oneOf("primary", "danger")), confirmOf, maybe("accessibility_label", text(1, maxButton)),
	},
	"image":         {need("alt_text", text(1, maxLabel)), maybe("image_url", text(1, maxURL))},
	"overflow":      {actionID, need("options", list(1, maxOverflow, optionRule)), confirmOf},
	"datepicker":    {actionID, maybe("initial_date", pattern(`^\d{4}-\d\d-\d\d$`, "YYYY-MM-DD")), placeholder, confirmOf, focus},
	"timepicker":    {actionID, maybe("initial_time", pattern(`^([01]\d|2[0-3]):[0-5]\d$`, "HH:MM")), placeholder, confirmOf, focus},
	"checkboxes":    {actionID, need("options", list(1, maxChecks, optionRule)), maybe("initial_options", list(1, maxChecks, optionRule)), confirmOf, focus},
	"radio_buttons": {actionID, need("options", list(1, maxChecks, optionRule)), maybe("initial_option", optionRule), confirmOf, focus},
	"plain_text_input": {
		actionID, placeholder, maybe("initial_value", text(0, maxText)), maybe("multiline", boolean),
		maybe("min_length", number(0, maxText)), maybe("max_length", number(1, maxText)), focus,
	},
	"email_text_input":           {actionID, placeholder, maybe("initial_value", text(0, maxText)), focus},
	"url_text_input":             {actionID, placeholder, maybe("initial_value", text(0, maxText)), focus},
	"number_input":               {actionID, placeholder, need("is_decimal_allowed", boolean), focus},
	"static_select":              append(selectFields("initial_option", optionRule), choice...),
	"multi_static_select":        append(multiFields("initial_options", optionRule), choice...),
	"external_select":            append(selectFields("initial_option", optionRule), maybe("min_query_length", number(0, maxText))),
	"multi_external_select":      append(multiFields("initial_options", optionRule), maybe("min_query_length", number(0, maxText))),
	"users_select":               selectFields("initial_user", text(1, maxID)),
	"multi_users_select":         multiFields("initial_users", text(1, maxID)),
	"conversations_select":       selectFields("initial_conversation", text(1, maxID)),
	"multi_conversations_select": multiFields("initial_conversations", text(1, maxID)),
	"channels_select":            selectFields("initial_channel", text(1, maxID)),
	"multi_channels_select":      multiFields("initial_channels", text(1, maxID)),
}

var choice = []field{maybe("options", list(0, maxOptions, optionRule)), maybe("option_groups", list(1, maxOptions, groupRule))}

func selectFields(initial string, r rule) []field {
	return []field{actionID, placeholder, maybe(initial, r), confirmOf, focus}
}

func multiFields(initial string, r rule) []field {
	return []field{actionID, placeholder, maybe(initial, list(1, maxOptions, r)), maybe("max_selected_items", number(1, maxOptions)), confirmOf, focus}
}

func pattern(expr, want string) rule {
	re := regexp.MustCompile(expr)
	return func(path string, v runtime.Value) error {
		if s, ok := v.(string); !ok || !re.MatchString(s) {
			return problem(path, "is %q, want %s", v, want)
		}
		return nil
	}
}

// typed checks a dict by its type.
func typed(s schema, what string) rule {
	return func(path string, v runtime.Value) error {
		d, ok := declare.Plain(v).(*runtime.Dict)
		if !ok {
			return problem(path, "is a %s, want %s", runtime.TypeName(v), what)
		}
		kind := d.Text("type")
		if unknownType(d) {
			return nil
		}
		if kind == "" {
			return problem(join(path, "type"), "is missing, want %s", what)
		}
		if err := checkFields(path, d, s[kind]); err != nil {
			return err
		}
		return whole(path, kind, d)
	}
}

// element is set below: elements would refer to itself.
func element(path string, v runtime.Value) error { return typed(elements, "a block element")(path, v) }

func block(path string, v runtime.Value) error { return typed(blocks, "a block")(path, v) }

// contextPart is an image element or a text object.
func contextPart(path string, v runtime.Value) error {
	if d, ok := declare.Plain(v).(*runtime.Dict); ok && d.Text("type") == "image" {
		return element(path, d)
	}
	return textObject(maxText, false)(path, v)
}

// whole holds what concerns several fields of one part.
func whole(path, kind string, d *runtime.Dict) error {
	has := func(name string) bool { v, ok := d.Get(name); return ok && v != nil }
	switch kind {
	case "section":
		if !has("text") && !has("fields") {
			return problem(path, "a section needs text or fields")
		}
	case "image":
		if has("image_url") == has("slack_file") {
			return problem(path, "an image needs either image_url or slack_file")
		}
	case "static_select", "multi_static_select":
		if has("options") == has("option_groups") {
			return problem(path, "a static select needs either options or option_groups")
		}
		if l, _ := d.Get("options"); l != nil && !unknown(l) && len(asList(l)) == 0 {
			return problem(join(path, "options"), "is empty")
		}
	case "plain_text_input":
		lo, _ := d.Get("min_length")
		hi, ok := d.Get("max_length")
		if n, _ := lo.(int64); ok && !unknown(hi) && n > hi.(int64) {
			return problem(join(path, "min_length"), "is more than max_length")
		}
	case "actions":
		return distinct(path, "elements", "action_id", d)
	}
	return nil
}

func asList(v runtime.Value) runtime.List {
	l, _ := declare.Plain(v).(runtime.List)
	return l
}

// distinct refuses an id that two parts of a list share.
func distinct(path, listName, idName string, d *runtime.Dict) error {
	parts, _ := d.Get(listName)
	seen := map[string]int{}
	for i, p := range asList(parts) {
		part, _ := declare.Plain(p).(*runtime.Dict)
		id := part.Text(idName)
		if id == "" {
			continue
		}
		if first, ok := seen[id]; ok {
			at := join(path, listName+"["+strconv.Itoa(i)+"]."+idName)
			return problem(at, "%q is taken by %s[%d]", id, listName, first)
		}
		seen[id] = i
	}
	return nil
}

// CheckBlocks tells the first way in which blocks break Slack's limits, with
// its path, or nil. maxBlocks is MaxMessageBlocks or MaxViewBlocks.
func CheckBlocks(l runtime.List, maxBlocks int) error {
	return checkBlocks(runtime.NewDict("blocks", l), maxBlocks)
}

func checkBlocks(d *runtime.Dict, maxBlocks int) error {
	if err := checkFields("", d, []field{need("blocks", list(0, maxBlocks, block))}); err != nil {
		return err
	}
	return distinct("", "blocks", "block_id", d)
}

var modalFields = []field{
	need("title", textObject(maxTitle, true)), maybe("submit", textObject(maxTitle, true)), maybe("close", textObject(maxTitle, true)),
	maybe("private_metadata", text(0, maxMeta)), maybe("callback_id", text(0, maxID)), maybe("external_id", text(0, maxID)),
	maybe("clear_on_close", boolean), maybe("notify_on_close", boolean),
}

// CheckModal tells the first way in which a modal breaks Slack's limits, or nil.
func CheckModal(d *runtime.Dict) error {
	if kind := d.Text("type"); kind != "modal" && !unknownType(d) {
		return problem("type", "is %q, want modal", kind)
	}
	if err := checkFields("", d, modalFields); err != nil {
		return err
	}
	if err := checkBlocks(d, MaxViewBlocks); err != nil {
		return err
	}
	if _, ok := d.Get("submit"); ok {
		return nil
	}
	all, _ := d.Get("blocks")
	for i, b := range asList(all) {
		if bd, _ := declare.Plain(b).(*runtime.Dict); bd.Text("type") == "input" {
			return problem("submit", "is missing: blocks[%d] is an input", i)
		}
	}
	return nil
}

// CheckHome tells the first way in which an app's home breaks Slack's limits, or nil.
func CheckHome(d *runtime.Dict) error {
	if kind := d.Text("type"); kind != "home" && !unknownType(d) {
		return problem("type", "is %q, want home", kind)
	}
	if err := checkFields("", d, modalFields[3:6]); err != nil {
		return err
	}
	return checkBlocks(d, MaxViewBlocks)
}

// CheckView checks a modal or a home by its type.
func CheckView(d *runtime.Dict) error {
	if d.Text("type") == "home" {
		return CheckHome(d)
	}
	return CheckModal(d)
}
