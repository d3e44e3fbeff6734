package event

import "bytes"

// envelope reads an Events API body from p.top.
func (p *parser) envelope() error {
	e, top := p.e, &p.top
	e.Kind, e.Encoding = Other, JSON
	if t := top[kType]; t != nil && !t.isString() && !t.isNull() {
		return unusable("type is not a string")
	}
	typ := string(top.text(kType))
	switch typ {
	case "url_verification":
		c := top[kChallenge]
		if !c.isString() {
			return unusable("challenge is missing or not a string")
		}
		p.control.Verify, p.control.Challenge = true, string(c.text())
		return nil
	case "app_rate_limited":
		p.control.RateLimited = true
	case "event_callback":
		if !top[kEvent].isObject() {
			return unusable("event is missing or not an object")
		}
	}
	if id := top[kEventID]; id != nil && !id.isString() && !id.isNull() {
		return unusable("event_id is not a string")
	}
	p.setID("", top.text(kEventID))
	p.texts.put(&e.App, top.text(kAPIAppID))
	if err := p.authorization(); err != nil {
		return err
	}
	if !top[kEvent].isObject() {
		p.texts.put(&e.Type, top.text(kType))
		return nil
	}
	if err := p.in.scan(top[kEvent]); err != nil {
		return err
	}
	if typ != "" && typ != "event_callback" {
		p.texts.put(&e.Type, top.text(kType))
		p.plainEvent()
		return nil
	}
	return p.innerEvent()
}

// authorization reads whom the event is delivered for. In a channel that is
// shared with another organisation (Slack Connect), team_id may be a workspace
// that knows nothing of the app: the authorization names the one that has
// installed it.
func (p *parser) authorization() error {
	e, top := p.e, &p.top
	if err := p.sub.scan(top[kAuthorizations].element()); err != nil {
		return err
	}
	e.Shared = top[kExtShared].isTrue()
	e.OrgWide = p.sub[kOrgWide].isTrue()
	team, enterprise := first(top.id(kTeamID), top.id(kContextTeamID)), top.id(kEnterpriseID)
	its, org := p.sub.text(kTeamID), p.sub.text(kEnterpriseID)
	switch {
	case len(its) > 0 && !bytes.Equal(its, team):
		team, enterprise = its, org
	case len(its) > 0 || len(org) == 0 || bytes.Equal(org, enterprise):
		enterprise = first(enterprise, org)
	default:
		// An organisation's, of a channel that it shares with others.
		if bytes.Equal(top.id(kContextEnterpriseID), org) {
			team = first(top.id(kContextTeamID), team)
		}
		enterprise = org
	}
	p.texts.put(&e.Team, team)
	p.texts.put(&e.Enterprise, enterprise)
	if p.sub[kIsBot].isTrue() {
		p.texts.put(&e.BotUser, p.sub.text(kUserID))
	}
	return nil
}

// innerEvent reads the event of an envelope from p.in.
func (p *parser) innerEvent() error {
	e, in := p.e, &p.in
	if t := in[kType]; t != nil && !t.isString() {
		return unusable("event.type is not a string")
	}
	p.texts.put(&e.Type, in.text(kType))
	switch string(in.text(kType)) {
	case "message":
		e.Kind = Message
		return p.message()
	case "app_mention":
		e.Kind = Mention
		return p.message()
	case "reaction_added", "reaction_removed":
		e.Kind = Reaction
		e.Removed = string(in.text(kType)) == "reaction_removed"
		p.texts.put(&e.Reaction, in.text(kReaction))
	case "app_home_opened":
		e.Kind = Home
	}
	p.plainEvent()
	return nil
}

// plainEvent reads the fields that most events have in one place or another.
func (p *parser) plainEvent() {
	e, in := p.e, &p.in
	var item fields
	if in[kItem].isObject() {
		// What is twice inside an item decides nothing.
		_ = item.scan(in[kItem])
	}
	p.texts.put(&e.Subtype, in.text(kSubtype))
	p.texts.put(&e.User, first(in.id(kUser), in.text(kUserID)))
	p.texts.put(&e.Channel, first(in.id(kChannel), in.text(kChannelID), item.id(kChannel)))
	p.texts.put(&e.TS, first(in.text(kTS), in.text(kMessageTS), item.text(kTS)))
	p.texts.put(&e.ThreadTS, in.text(kThreadTS))
	p.texts.put(&e.EventTS, in.text(kEventTS))
	p.texts.put(&e.Text, in.text(kText))
	p.texts.put(&e.BotID, in.text(kBotID))
	p.texts.put(&e.CallbackID, in.text(kCallbackID))
	p.texts.put(&e.TriggerID, in.text(kTriggerID))
}

// message reads a message event. Edits and deletions carry the message inside:
// its author, text and place are taken from there.
func (p *parser) message() error {
	e, in := p.e, &p.in
	for _, k := range [...]int{kTS, kThreadTS, kEventTS} {
		if v := in[k]; v != nil && !v.isString() && !v.isNull() {
			return unusable("event.%s is not a string", keyNames[k])
		}
	}
	inner, ts := in, in.text(kTS)
	subtype := string(in.text(kSubtype))
	switch {
	case subtype == "message_changed" && in[kMessage].isObject():
		if err := p.sub.scan(in[kMessage]); err != nil {
			return err
		}
		inner = &p.sub
		e.Edited = true
		if prev := in[kPreviousMessage]; prev != nil {
			ts = first(inner.text(kTS), prev.get(kTS).text(), ts)
			old := prev.get(kText)
			e.Unchanged = old != nil && bytes.Equal(old.text(), inner.text(kText))
		} else {
			ts = first(inner.text(kTS), ts)
		}
	case subtype == "message_changed":
		e.Edited = true
	case subtype == "message_deleted":
		if err := p.sub.scan(in[kPreviousMessage]); err != nil {
			return err
		}
		inner = &p.sub
		ts = first(in.text(kDeletedTS), inner.text(kTS), ts)
	}
	thread := first(inner.text(kThreadTS), in.text(kThreadTS))
	channel := first(in.id(kChannel), in.text(kChannelID))
	kind := in.text(kChannelType)
	e.IM = string(kind) == "im" || len(kind) == 0 && len(channel) > 0 && channel[0] == 'D'
	e.ThreadMsg = len(thread) > 0 && !bytes.Equal(thread, ts)
	p.texts.put(&e.Subtype, in.text(kSubtype))
	p.texts.put(&e.User, first(inner.id(kUser), in.id(kUser)))
	p.texts.put(&e.Text, inner.text(kText))
	p.texts.put(&e.TS, ts)
	p.texts.put(&e.ThreadTS, thread)
	p.texts.put(&e.EventTS, first(in.text(kEventTS), in.text(kTS)))
	p.texts.put(&e.Channel, channel)
	p.texts.put(&e.BotID, first(inner.text(kBotID), in.text(kBotID)))
	p.texts.put(&e.AuthorApp, first(inner.text(kAppID), in.text(kAppID)))
	return nil
}
