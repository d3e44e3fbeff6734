package payload

import (
	"regexp"
	"strings"
)

var (
	escaper   = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")
	unescaper = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")
)

// Escape makes Slack's markup of plain text.
func Escape(text string) string { return escaper.Replace(text) }

// token is one piece of Slack's markup.
var token = regexp.MustCompile(`<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>|:([a-z0-9_+'-]+):`)

// RichText is the rich_text block that Slack adds to what people type. text is
// Slack's markup.
func RichText(text, blockID string) Object {
	var els []any
	add := func(o Object) { els = append(els, o) }
	plain := func(s string) {
		if s != "" {
			add(Object{"type": "text", "text": unescaper.Replace(s)})
		}
	}
	for {
		at := token.FindStringSubmatchIndex(text)
		if at == nil {
			break
		}
		group := func(i int) string {
			if at[2*i] < 0 {
				return ""
			}
			return text[at[2*i]:at[2*i+1]]
		}
		plain(text[:at[0]])
		switch sigil, what := group(1), group(2); {
		case group(4) != "":
			add(Object{"type": "emoji", "name": group(4)})
		case sigil == "@":
			add(Object{"type": "user", "user_id": what})
		case sigil == "#":
			add(Object{"type": "channel", "channel_id": what})
		case sigil == "!" && strings.HasPrefix(what, "subteam^"):
			add(Object{"type": "usergroup", "usergroup_id": strings.TrimPrefix(what, "subteam^")})
		case sigil == "!":
			add(Object{"type": "broadcast", "range": what})
		default:
			link := Object{"type": "link", "url": unescaper.Replace(what)}
			if l := group(3); l != "" {
				link["text"] = unescaper.Replace(l)
			}
			add(link)
		}
		text = text[at[1]:]
	}
	plain(text)
	return Object{
		"type": "rich_text", "block_id": blockID,
		"elements": []any{Object{"type": "rich_text_section", "elements": els}},
	}
}
