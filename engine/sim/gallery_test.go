package sim

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

func plainText(s string) Block { return Block{"type": "plain_text", "text": s} }

// gallery is a message with an element of every kind.
func gallery() []Block {
	opts := []Block{{"value": "one", "text": plainText("One")}, {"value": "two", "text": plainText("Two")}}
	el := func(kind string, more ...any) Block {
		b := Block{"type": kind, "action_id": kind}
		for i := 0; i < len(more); i += 2 {
			b[more[i].(string)] = more[i+1]
		}
		return b
	}
	return []Block{
		{"type": "header", "text": plainText("Every element :tada:")},
		{"type": "section", "text": Block{"type": "mrkdwn", "text": "*bold* _italic_ ~gone~ `code`\n> quoted\n```fenced <b>```"}, "accessory": el("overflow", "options", opts)},
		{"type": "section", "fields": []Block{{"type": "mrkdwn", "text": "*State*\nopen"}, {"type": "mrkdwn", "text": "*Owner*\n<@U0GRACE>"}}},
		{"type": "actions", "elements": []Block{
			el("button", "text", plainText("Careful"), "style", "danger", "confirm", Block{"title": plainText("Sure?"), "text": plainText("It will be gone."), "confirm": plainText("Do it"), "deny": plainText("No")}),
			el("static_select", "options", opts), el("users_select"), el("channels_select"), el("conversations_select"),
			el("external_select", "min_query_length", 1), el("datepicker", "initial_date", "2026-03-04"), el("timepicker"), el("datetimepicker", "initial_date_time", 1767323045),
		}},
		{"type": "actions", "elements": []Block{el("radio_buttons", "options", opts), el("checkboxes", "options", opts, "initial_options", opts[:1])}},
		{"type": "actions", "elements": []Block{
			el("multi_static_select", "options", opts), el("multi_users_select"), el("multi_channels_select"), el("multi_conversations_select"), el("multi_external_select", "min_query_length", 1),
		}},
		{"type": "divider"},
		{"type": "image", "image_url": "https://example.com/cat.png", "alt_text": "a cat"},
		{"type": "context", "elements": []Block{{"type": "mrkdwn", "text": "posted by <#C0OPS>"}}},
	}
}

func TestPageOffersEveryElement(t *testing.T) {
	t.Parallel()
	s := newSlack(t, func(o *Options) { o.Now = time.Now })
	s.app.reply(func(w http.ResponseWriter, d delivered) {
		if d.json["type"] == "block_suggestion" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"option_groups":[{"label":{"type":"plain_text","text":"Cities"},"options":[{"text":{"type":"plain_text","text":"Berlin"},"value":"ber"}]}]}`)
		}
	})
	s.ok("chat.postMessage", Block{"channel": "C0GENERAL", "text": "gallery", "blocks": gallery()})
	s.app.next()
	b := newBrowser(t, s.run())
	b.sees(id("message"), "Every element")
	b.picture("gallery")
	action := func() Block {
		d := s.app.next()
		for d.json["type"] != "block_actions" { // a question for options may come late
			d = s.app.next()
		}
		a, _ := d.json["actions"].([]any)[0].(Block)
		return a
	}
	choose := func(what, value string) {
		js := fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event("change", {bubbles: true})); })()`, id("action-"+what), value)
		b.do("choose in "+what, chromedp.Evaluate[chromedp.Void](js))
	}
	for _, c := range []struct{ kind, value, key, want string }{
		{"static_select", "two", "selected_option", "map[text:map[text:Two type:plain_text] value:two]"},
		{"overflow", "one", "selected_option", "map[text:map[text:One type:plain_text] value:one]"},
		{"users_select", "U0GRACE", "selected_user", "U0GRACE"},
		{"channels_select", "C0OPS", "selected_channel", "C0OPS"},
		{"conversations_select", "D0ADA", "selected_conversation", "D0ADA"},
		{"datepicker", "2026-05-06", "selected_date", "2026-05-06"},
		{"timepicker", "12:34", "selected_time", "12:34"},
	} {
		choose(c.kind, c.value)
		if got := fmt.Sprint(action()[c.key]); got != c.want {
			t.Errorf("%s gave %s, want %s", c.kind, got, c.want)
		}
	}
	b.click(id("action-radio_buttons") + " input")
	if got := fmt.Sprint(action()["selected_option"]); got != "map[text:map[text:One type:plain_text] value:one]" {
		t.Errorf("radio gave %s", got)
	}
	b.click(id("action-multi_users_select") + " summary")
	b.click(id("action-multi_users_select") + " input")
	if got := fmt.Sprint(action()["selected_users"]); got != "[U0ADA]" {
		t.Errorf("multi users gave %s", got)
	}
	b.do("search", chromedp.SendKeys(id("action-external_select")+" input", "be"))
	b.click(id("action-external_select") + " button.option")
	for d := s.app.next(); ; d = s.app.next() { // one request per pause in typing, then the choice
		if d.json["type"] == "block_actions" {
			a, _ := d.json["actions"].([]any)[0].(Block)
			if o, _ := a["selected_option"].(Block); o["value"] != "ber" {
				t.Errorf("external select gave %v", a)
			}
			break
		}
	}
	b.click(id("action-button"))
	b.sees(id("confirm"), "It will be gone.")
	b.click(id("confirm-yes"))
	a := action()
	has(t, "button", a, "text", "confirm", "style")
	b.clean()
}
