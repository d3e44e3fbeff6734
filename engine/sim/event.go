package sim

import (
	"encoding/json"
	"strings"
)

// object turns one of our structs into a JSON object.
func object(v any) Block {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("sim: encode object: " + err.Error()) // our own types only
	}
	var b Block
	if err := decode(raw, &b); err != nil {
		panic("sim: decode object: " + err.Error())
	}
	return b
}

// decode reads JSON and keeps numbers as they are written.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	return d.Decode(into)
}

// tellMessage tells the app of a new message: as `message`, and as
// `app_mention` if it names the bot outside a direct message.
func (w *World) tellMessage(c *Channel, m *Message) {
	if !c.has(w.app.UserID) {
		return
	}
	b := m.wire(true)
	b["channel"], b["event_ts"] = c.ID, m.TS
	if m.BotID != "" {
		b["bot_profile"] = w.botProfile()
	}
	mention := !c.IM && m.User != w.app.UserID && mentions(m.Text, w.app.UserID)
	e := clone(b)
	e["channel_type"] = c.kind()
	w.event(c, e)
	if mention {
		e = clone(b)
		e["type"] = "app_mention"
		w.event(c, e)
	}
}

// tellChanged tells the app of an edited message.
func (w *World) tellChanged(c *Channel, m, before *Message, ts string) {
	if c.has(w.app.UserID) {
		w.event(c, Block{
			"type": "message", "subtype": "message_changed", "hidden": true, "channel": c.ID, "channel_type": c.kind(),
			"message": m.wire(true), "previous_message": before.wire(true), "ts": ts, "event_ts": ts,
		})
	}
}

// tellDeleted tells the app of a deleted message.
func (w *World) tellDeleted(c *Channel, before *Message) {
	if c.has(w.app.UserID) {
		ts := w.nextTS()
		w.event(c, Block{
			"type": "message", "subtype": "message_deleted", "hidden": true, "channel": c.ID, "channel_type": c.kind(),
			"deleted_ts": before.TS, "previous_message": before.wire(true), "ts": ts, "event_ts": ts,
		})
	}
}

func (w *World) botProfile() Block {
	return Block{
		"id": w.app.BotID, "deleted": false, "name": w.app.Name, "updated": 0,
		"app_id": w.app.ID, "icons": Block{}, "team_id": w.team.ID,
	}
}

// mentions reports whether text names the user: <@U1> or <@U1|name>.
func mentions(text, user string) bool {
	return strings.Contains(text, "<@"+user+">") || strings.Contains(text, "<@"+user+"|")
}

func clone(b Block) Block {
	c := make(Block, len(b)+2)
	for k, v := range b {
		c[k] = v
	}
	return c
}
