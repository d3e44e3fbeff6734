package sim

import (
	"fmt"
	"slices"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/payload"
)

// Slack's limits of blocks, as far as gross faults are concerned.
const (
	maxBlocks     = 50
	maxViewBlocks = 100
	maxSection    = 3000
	maxButtons    = 25
	maxID         = 255
)

// blockTypes lists what may stand at the top of a message or view.
var blockTypes = []string{
	"actions", "context", "context_actions", "divider", "file", "header", "image", "input",
	"markdown", "rich_text", "section", "table", "task_card", "plan", "video", "alert", "card", "carousel",
}

// Invalid lists what is wrong with blocks or a view.
type Invalid struct {
	Code     Code // invalid_blocks, invalid_arguments
	Messages []string
}

// Error returns the code.
func (e *Invalid) Error() string { return string(e.Code) }

// checkBlocks reports gross faults and gives ids to what has none: the app is
// told of ids in every interaction.
func (w *World) checkBlocks(blocks []Block, limit int) error {
	bad := &Invalid{Code: "invalid_blocks"}
	fault := func(format string, args ...any) {
		bad.Messages = append(bad.Messages, "[ERROR] "+fmt.Sprintf(format, args...))
	}
	if len(blocks) > limit {
		fault("no more than %d items allowed [json-pointer:/blocks]", limit)
	}
	ids := map[string]bool{}
	for i, b := range blocks {
		at := fmt.Sprintf("[json-pointer:/blocks/%d", i)
		kind, _ := b["type"].(string)
		if !slices.Contains(blockTypes, kind) {
			fault("unsupported type: %s %s/type]", kind, at)
			continue
		}
		id, _ := b["block_id"].(string)
		if id == "" {
			id = w.random(5)
			b["block_id"] = id
		}
		if ids[id] {
			fault("block_id `%s` already exists %s/block_id]", id, at)
		}
		ids[id] = true
		if len(id) > maxID {
			fault("must be no more than %d characters %s/block_id]", maxID, at)
		}
		w.checkBlock(b, kind, at, fault)
	}
	if bad.Messages != nil {
		return bad
	}
	return nil
}

func (w *World) checkBlock(b Block, kind, at string, fault func(string, ...any)) {
	switch kind {
	case "section":
		text, _ := b["text"].(Block)
		if text == nil && b["fields"] == nil {
			fault("missing required field: text or fields %s]", at)
		}
		if s, _ := text["text"].(string); text != nil && (s == "" || utf8.RuneCountInString(s) > maxSection) {
			fault("text must have 1 to %d characters %s/text]", maxSection, at)
		}
	case "header":
		text, _ := b["text"].(Block)
		if s, _ := text["text"].(string); s == "" {
			fault("missing required field: text %s]", at)
		}
	case "actions":
		els, _ := b["elements"].([]any)
		if len(els) == 0 || len(els) > maxButtons {
			fault("must have 1 to %d elements %s/elements]", maxButtons, at)
		}
	case "context", "rich_text":
		if els, _ := b["elements"].([]any); len(els) == 0 {
			fault("must have elements %s/elements]", at)
		}
	case "image":
		if b["image_url"] == nil && b["slack_file"] == nil {
			fault("missing required field: image_url %s]", at)
		}
	case "input":
		if b["element"] == nil || b["label"] == nil {
			fault("missing required field: element and label %s]", at)
		}
	}
	for _, el := range payload.Elements(b) {
		id, _ := el["action_id"].(string)
		if id == "" {
			el["action_id"] = w.random(5)
		}
		if len(id) > maxID {
			fault("must be no more than %d characters %s/action_id]", maxID, at)
		}
		if kind, _ := el["type"].(string); kind == "" {
			fault("missing required field: type %s]", at)
		}
	}
}

// allBlocks are a message's blocks and those in its attachments.
func (m *Message) allBlocks() []Block {
	all := slices.Clone(m.Blocks)
	for _, a := range m.Attachments {
		all = append(all, payload.Objects(a["blocks"])...)
	}
	return all
}
