package event

import (
	"encoding/binary"

	"github.com/valyala/fastjson"
)

// interactions are the types of interaction that are known, and their kinds.
// What dialogs and legacy attachments send is an action, identified by name
// and callback_id.
var interactions = map[string]Kind{
	"block_actions":       Action,
	"interactive_message": Action,
	"dialog_submission":   Action,
	"dialog_cancellation": Action,
	"dialog_suggestion":   Action,
	"view_submission":     Submit,
	"view_closed":         ViewClosed,
	"shortcut":            Shortcut,
	"message_action":      Shortcut,
	"block_suggestion":    Options,
	"workflow_step_edit":  Other,
}

// interaction reads an interactive payload from p.top.
func (p *parser) interaction() error {
	e, top := p.e, &p.top
	if t := top[kType]; t != nil && !t.isString() {
		return unusable("type is not a string")
	}
	typ := string(top.text(kType))
	e.Encoding = JSON
	if e.Kind = interactions[typ]; e.Kind == "" {
		e.Kind = Other
	}
	p.texts.put(&e.Type, top.text(kType))
	p.texts.put(&e.TriggerID, top.text(kTriggerID))
	p.texts.put(&e.ResponseURL, top.text(kResponseURL))
	if err := p.interactionPlace(); err != nil {
		return err
	}
	callback := top.text(kCallbackID)
	if len(callback) == 0 && top[kView].isObject() {
		callback = top[kView].get(kCallbackID).text()
	}
	p.texts.put(&e.CallbackID, callback)
	p.texts.put(&e.Query, p.query(typ))
	if err := p.actions(typ, callback); err != nil {
		return err
	}
	if tr := top.text(kTriggerID); len(tr) > 0 {
		p.setID("tr-", tr)
	} else if e.Kind == Options || typ == "dialog_suggestion" {
		// The same question may be asked again a moment later, in the same
		// bytes, and wants its answer again: each delivery is one question.
		p.scratch = binary.LittleEndian.AppendUint64(p.scratch[:0], uint64(e.Received.UnixNano()))
		p.scratch = p.top.appendOptions(p.scratch)
		e.ID = hashID(p.scratch)
	}
	return nil
}

// appendOptions appends what tells two questions for options apart.
func (f *fields) appendOptions(b []byte) []byte {
	for _, k := range [...]int{kAPIAppID, kTeam, kUser, kActionID, kBlockID, kName, kCallbackID, kValue, kContainer} {
		if f[k] != nil {
			b = append(b, f[k].raw()...)
		}
		b = append(b, 0)
	}
	return b
}

// query is what was typed, if the payload asks for options.
func (p *parser) query(typ string) []byte {
	if typ == "block_suggestion" || typ == "dialog_suggestion" {
		return p.top.text(kValue)
	}
	return nil
}

// interactionPlace reads who did it, and where.
func (p *parser) interactionPlace() error {
	e, top := p.e, &p.top
	var view, container, message fields
	if err := view.scan(top[kView]); err != nil {
		return err
	}
	if err := container.scan(top[kContainer]); err != nil {
		return err
	}
	if err := message.scan(top[kMessage]); err != nil {
		return err
	}
	if err := p.in.scan(top[kUser]); err != nil {
		return err
	}
	if err := p.sub.scan(top[kTeam]); err != nil {
		return err
	}
	p.texts.put(&e.App, first(top.text(kAPIAppID), view.text(kAppID)))
	// In an organisation the team may be missing: then that of the message of
	// an attachment counts before the one that the user is from.
	// A view knows best, which may be one of a shared channel.
	original := top[kOriginalMessage].get(kTeam).text()
	installed, org := view.text(kInstalledTeamID), []byte(nil)
	if len(installed) > 0 && installed[0] == 'E' {
		installed, org = nil, installed
	}
	p.texts.put(&e.Team, first(installed, top.id(kTeam), top.text(kTeamID), original, p.in.text(kTeamID), view.text(kTeamID)))
	p.texts.put(&e.Enterprise, first(org, top.id(kEnterprise), p.sub.text(kEnterpriseID), top.text(kEnterpriseID)))
	e.OrgWide = isSaid(top[kOrgWide]) || len(org) > 0 || top[kOrgWide] == nil && top[kTeam].isNull() && len(top.id(kEnterprise)) > 0
	p.texts.put(&e.User, first(top.id(kUser), top.text(kUserID)))
	p.texts.put(&e.Channel, first(top.id(kChannel), top.text(kChannelID), container.text(kChannelID)))
	p.texts.put(&e.TS, first(message.text(kTS), container.text(kMessageTS), top.text(kMessageTS)))
	p.texts.put(&e.ThreadTS, first(message.text(kThreadTS), container.text(kThreadTS)))
	if e.Kind == Shortcut {
		p.texts.put(&e.Text, message.text(kText))
	}
	return nil
}

// maxActions bounds the elements of one interaction; Slack sends one.
const maxActions = 100

// actions reads the elements that were used. For dialogs, which have none, the
// one element is the dialog itself.
func (p *parser) actions(typ string, callback []byte) error {
	e, top := p.e, &p.top
	switch typ {
	case "block_suggestion":
		e.Actions = make([]ActionRef, 1)
		a := &e.Actions[0]
		p.texts.put(&a.ActionID, top.text(kActionID))
		p.texts.put(&a.BlockID, top.text(kBlockID))
		p.texts.put(&a.Type, first(top.text(kType)))
		p.texts.put(&a.Value, top.text(kValue))
		return nil
	case "dialog_submission", "dialog_cancellation", "dialog_suggestion":
		e.Actions = make([]ActionRef, 1)
		a := &e.Actions[0]
		p.texts.put(&a.ActionID, first(top.text(kName), callback))
		p.texts.put(&a.BlockID, callback)
		p.texts.put(&a.Type, top.text(kType))
		p.texts.put(&a.Value, top.text(kValue))
		return nil
	}
	list := top[kActions].list()
	if len(list) == 0 {
		return nil
	}
	if len(list) > maxActions {
		return unusable("more than %d actions", maxActions)
	}
	e.Actions = make([]ActionRef, len(list))
	for i, v := range list {
		if err := p.in.scan(v); err != nil {
			return err
		}
		a := &e.Actions[i]
		if typ == "interactive_message" {
			p.texts.put(&a.ActionID, first(p.in.text(kName), callback))
			p.texts.put(&a.BlockID, callback)
		} else {
			p.texts.put(&a.ActionID, p.in.text(kActionID))
			p.texts.put(&a.BlockID, p.in.text(kBlockID))
		}
		p.texts.put(&a.Type, p.in.text(kType))
		if err := p.elementValue(&a.Value, v); err != nil {
			return err
		}
	}
	return nil
}

// elementValue reads what was chosen or typed in an element, if it is one text.
func (p *parser) elementValue(dst *string, v *node) error {
	el, err := fastjson.ParseBytes(v.raw())
	if err != nil {
		return unusable("not JSON")
	}
	if s := plainValue(el); s != nil && s.Type() == fastjson.TypeString {
		p.texts.put(dst, s.GetStringBytes())
	}
	return nil
}

// command reads the fields of a slash command from p.top.
func (p *parser) command() error {
	e, top := p.e, &p.top
	name := top.text(kCommand)
	if len(name) == 0 {
		return unusable("command is missing or not a string")
	}
	e.Kind, e.Type, e.Encoding = Command, "slash_commands", JSON
	p.texts.put(&e.Command, name)
	p.texts.put(&e.Text, top.text(kText))
	p.texts.put(&e.Team, top.text(kTeamID))
	p.texts.put(&e.Enterprise, top.text(kEnterpriseID))
	e.OrgWide = isSaid(top[kOrgWide])
	p.texts.put(&e.App, top.text(kAPIAppID))
	p.texts.put(&e.User, top.text(kUserID))
	p.texts.put(&e.Channel, top.text(kChannelID))
	p.texts.put(&e.ResponseURL, top.text(kResponseURL))
	p.texts.put(&e.TriggerID, top.text(kTriggerID))
	p.setID("tr-", top.text(kTriggerID))
	return nil
}

// isSaid reports whether a flag is set that Slack sends as a boolean, or as a text.
func isSaid(v *node) bool { return v.isTrue() || string(v.text()) == "true" }
