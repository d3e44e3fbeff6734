package sim

import (
	"encoding/json"
	"strconv"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/payload"
)

// picker knows the options that external selects were offered.
func (w *World) picker() payload.Picker {
	return payload.Picker{
		Option: func(el Block, value string) Block { return w.options[optionKey(el, value)] },
		Rich:   func(text string) Block { return w.richText(text)[0] },
	}
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

func optionKey(el Block, value string) string {
	id, _ := el["action_id"].(string)
	return id + "\x00" + value
}

// stateValues is `state.values`: the state of every input in blocks. values
// holds what a person chose, by block_id and action_id, or by action_id alone.
func (w *World) stateValues(blocks []Block, values Block) Block {
	return payload.State(blocks, values, w.picker())
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
		v := st[payload.StateKey(kind)]
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
