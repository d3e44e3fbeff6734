package payload

import "maps"

// ToAction is somebody using an element of a message, or of View if that is
// there.
func (a Act) ToAction() Payload {
	a = a.fill()
	p := a.App.Interaction("block_actions", a.person(), a.TriggerID)
	blocks, inView := Blocks(a.Message), a.View != nil
	if inView {
		blocks = Blocks(a.View)
	}
	block, el := Find(blocks, a.BlockID, a.ActionID)
	if el == nil {
		el = a.element()
		block = Object{"block_id": a.BlockID}
	}
	state := Object{"values": State(blocks, a.Values, Picker{})}
	if inView {
		v := a.view()
		v["state"] = state
		p["view"], p["container"] = v, Object{"type": "view", "view_id": v["id"]}
	} else {
		p["state"] = state
		a.place(p)
		if a.ResponseURL != "" {
			p["response_url"] = a.ResponseURL
		}
	}
	p["actions"] = []Object{Used(block, el, a.Value, a.stamp(), Picker{})}
	return a.form(p)
}

// element is the element that is used, of which nothing is known but what the
// act says.
func (a *Act) element() Object {
	def(&a.ActionID, "button")
	def(&a.BlockID, a.ActionID)
	def(&a.Element, "button")
	el := Object{"type": a.Element, "action_id": a.ActionID}
	if a.Element == "button" {
		el["text"] = Object{"type": "plain_text", "text": a.ActionID, "emoji": true}
		if s := text(a.Value); s != "" {
			el["value"] = s
		}
	}
	return el
}

// Used is an element of `actions`: el of block was used, and value chosen.
func Used(block, el Object, value any, at string, pick Picker) Object {
	out := Object{"type": el["type"], "action_id": el["action_id"], "block_id": block["block_id"], "action_ts": at}
	maps.Copy(out, ElementState(el, value, pick))
	if el["type"] == "button" {
		for _, k := range []string{"text", "value", "style", "url"} {
			if v, ok := el[k]; ok {
				out[k] = v
			}
		}
	}
	if v, ok := el["confirm"]; ok {
		out["confirm"] = v
	}
	return out
}

// place says in which message something was done.
func (a Act) place(p Object) {
	m := Object{"type": "message", "user": a.App.BotUser, "ts": a.TS, "team": a.App.Team, "text": a.Text}
	if a.Thread != "" {
		m["thread_ts"] = a.Thread
	}
	maps.Copy(m, a.Message)
	box := Object{"type": "message", "message_ts": m["ts"], "channel_id": a.Channel, "is_ephemeral": false}
	if t, ok := m["thread_ts"]; ok {
		box["thread_ts"] = t
	}
	p["container"], p["message"] = box, m
	p["channel"] = Object{"id": a.Channel, "name": a.ChannelName}
}

// form sends an interaction, with Fields added.
func (a Act) form(p Object) Payload {
	maps.Copy(p, a.Fields)
	return Form(p)
}

// view is the view as Slack sends it back: what the app gave, and what Slack
// adds.
func (a Act) view() Object {
	v := Object{
		"id": "V" + a.Random(10), "team_id": a.App.Team, "type": "modal", "callback_id": a.CallbackID, "private_metadata": "",
		"title": Object{"type": "plain_text", "text": "Form", "emoji": true}, "blocks": []any{}, "hash": a.stamp() + "." + a.Random(8),
		"clear_on_close": false, "notify_on_close": false, "close": nil, "submit": nil, "external_id": "",
		"previous_view_id": nil, "app_id": a.App.ID, "app_installed_team_id": a.App.Team, "bot_id": "B" + a.App.BotUser[1:],
	}
	maps.Copy(v, a.View)
	if v["root_view_id"] == nil {
		v["root_view_id"] = v["id"]
	}
	return v
}

// ToSubmit is somebody submitting a modal: View, or one with CallbackID and an
// input for each of Values.
func (a Act) ToSubmit() Payload {
	a = a.fill()
	if a.View == nil {
		a.View = Object{"blocks": Inputs(a.Values)}
	}
	v := a.view()
	v["state"] = Object{"values": State(Blocks(v), a.Values, Picker{})}
	p := a.App.Interaction("view_submission", a.person(), a.TriggerID)
	p["view"], p["response_urls"] = v, []any{}
	return a.form(p)
}

// ToClose is somebody closing a modal that wants to know of it.
func (a Act) ToClose() Payload {
	a = a.fill()
	v := a.view()
	v["notify_on_close"] = true
	if v["state"] == nil {
		v["state"] = Object{"values": State(Blocks(v), a.Values, Picker{})}
	}
	p := a.App.Interaction("view_closed", a.person(), "")
	p["view"], p["is_cleared"] = v, false
	return a.form(p)
}

// ToShortcut is somebody running a global shortcut.
func (a Act) ToShortcut() Payload {
	a = a.fill()
	p := a.App.Interaction("shortcut", a.person(), a.TriggerID)
	p["callback_id"], p["action_ts"] = a.CallbackID, a.stamp()
	return a.form(p)
}

// ToMessageShortcut is somebody running a shortcut on the message TS.
func (a Act) ToMessageShortcut() Payload {
	a = a.fill()
	p := a.App.Interaction("message_action", a.person(), a.TriggerID)
	a.place(p)
	delete(p, "container")
	m, _ := p["message"].(Object)
	if a.Message == nil {
		m["user"] = a.User
	}
	p["message_ts"], p["callback_id"], p["action_ts"] = m["ts"], a.CallbackID, a.stamp()
	if a.ResponseURL != "" {
		p["response_url"] = a.ResponseURL
	}
	return a.form(p)
}

// ToOptions is somebody typing Value into a select whose options the app gives.
func (a Act) ToOptions() Payload {
	a = a.fill()
	def(&a.ActionID, "select")
	def(&a.BlockID, a.ActionID)
	// The one interaction that cannot open a view.
	p := a.App.Interaction("block_suggestion", a.person(), "")
	p["action_id"], p["block_id"], p["value"] = a.ActionID, a.BlockID, text(a.Value)
	if a.View != nil {
		v := a.view()
		p["view"], p["container"] = v, Object{"type": "view", "view_id": v["id"]}
	} else {
		a.place(p)
	}
	return a.form(p)
}
