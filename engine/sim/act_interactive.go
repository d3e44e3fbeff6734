package sim

import (
	"context"

	"github.com/starling-rules/starling/engine/payload"
)

// Click is a person using an interactive element of a message (Channel, TS)
// or of a view (View).
type Click struct {
	User     string `json:"user"`
	Channel  string `json:"channel,omitempty"`
	TS       string `json:"ts,omitempty"`
	View     string `json:"view_id,omitempty"`
	BlockID  string `json:"block_id,omitempty"` // may be left out
	ActionID string `json:"action_id"`
	// Value is what was chosen or typed: the value of an option, a date, a
	// user's id, or a list of these. Buttons have none.
	Value any `json:"value,omitempty"`
	// Values holds the other inputs beside it, by block_id and action_id, or
	// by action_id alone.
	Values Block `json:"values,omitempty"`
}

// scene is where an element stands.
type scene struct {
	user    *User
	channel *Channel
	message *Message
	view    *View
	block   Block
	el      Block
	blocks  []Block
}

func (w *World) scene(in Click) (*scene, error) {
	sc := &scene{}
	var err error
	if in.View != "" {
		if sc.user, err = w.actor(in.User); err != nil {
			return nil, err
		}
		if sc.view = w.view(in.View, ""); sc.view == nil || sc.view.User != sc.user.ID {
			return nil, Code("view_not_found")
		}
		sc.blocks = sc.view.Blocks
	} else {
		if sc.user, sc.channel, sc.message, err = w.target(Target{in.User, in.Channel, in.TS}); err != nil {
			return nil, err
		}
		sc.blocks = sc.message.allBlocks()
	}
	if sc.block, sc.el = payload.Find(sc.blocks, in.BlockID, in.ActionID); sc.el == nil {
		return nil, Code("action_not_found")
	}
	return sc, nil
}

// Click tells the app of an action. The person is shown a notice if the app
// does not acknowledge it.
func (s *Server) Click(ctx context.Context, in Click) error {
	e, err := s.clickEnvelope(in)
	if err != nil {
		return err
	}
	a := s.send(ctx, e, 0, "")
	wrong := ""
	switch {
	case e.typ == "interactive_message":
		wrong = s.legacyAnswer(in, a)
	case a.reason != "":
		wrong = "The app did not acknowledge the action (" + a.reason + ")."
	}
	if wrong != "" {
		s.notice(in.User, wrong)
	}
	return nil
}

func (s *Server) clickEnvelope(in Click) (*envelope, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.connected(s.opt.InteractiveURL) {
		return nil, Code("no_app")
	}
	sc, err := w.scene(in)
	if err == Code("action_not_found") && in.View == "" {
		if e := s.legacyEnvelope(in); e != nil {
			return e, nil
		}
	}
	if err != nil {
		return nil, err
	}
	values := clone(in.Values)
	if in.Value != nil {
		id, _ := sc.block["block_id"].(string)
		own, _ := values[id].(Block)
		own = clone(own)
		own[in.ActionID] = in.Value
		values[id] = own
	}
	state := Block{"values": w.stateValues(sc.blocks, values)}
	p, trigger := s.interaction("block_actions", sc.user)
	p["actions"] = []Block{payload.Used(sc.block, sc.el, in.Value, w.nextTS(), w.picker())}
	if sc.view != nil {
		fresh := *sc.view
		fresh.Values, _ = state["values"].(Block)
		w.remember(&fresh)
		p["view"] = fresh.wire(w)
		p["container"] = Block{"type": "view", "view_id": fresh.ID}
	} else {
		p["state"] = state
		s.place(p, sc.channel, sc.message)
		p["response_url"] = s.responseURL(hook{
			channel: sc.channel.ID, user: sc.user.ID, source: sc.message.TS, thread: sc.message.ThreadTS,
		})
	}
	return s.formEnvelope(p, trigger, s.opt.InteractiveURL), nil
}

// remember keeps the typed values of a view without telling the page, which
// has them.
func (w *World) remember(v *View) {
	if v.Type == "home" {
		w.homes[v.User] = v
		return
	}
	for i, old := range w.modals[v.User] {
		if old.ID == v.ID {
			w.modals[v.User][i] = v
		}
	}
}

// Suggest asks the app for the options of an external select; in.Value is
// what was typed. The result is what the app gave, "options" or
// "option_groups", empty if it gave nothing usable.
func (s *Server) Suggest(ctx context.Context, in Click) (Block, error) {
	e, el, err := s.suggestEnvelope(in)
	if err != nil {
		return nil, err
	}
	a := s.send(ctx, e, 0, "")
	var out Block
	if a.reason != "" || decode(a.body, &out) != nil {
		s.notice(in.User, "The app gave no options.")
		return Block{"options": []any{}}, nil
	}
	if e.typ == "dialog_suggestion" {
		if groups := payload.Objects(out["option_groups"]); groups != nil {
			out = Block{"option_groups": labelled(groups)}
		} else {
			out = Block{"options": blockOptions(out["options"])}
		}
	}
	if out["options"] != nil && out["option_groups"] != nil {
		s.notice(in.User, "The app gave both options and option_groups.")
		return Block{"options": []any{}}, nil
	}
	opts := payload.OptionsOf(out)
	if len(opts) > 100 {
		s.notice(in.User, "The app gave more than 100 options.")
		return Block{"options": []any{}}, nil
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range opts {
		w.options[optionKey(el, text(o["value"]))] = o
	}
	return out, nil
}

func (s *Server) suggestEnvelope(in Click) (*envelope, Block, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if !s.connected(s.opt.OptionsURL) {
		return nil, nil, Code("no_app")
	}
	sc, err := w.scene(in)
	if err != nil {
		return nil, nil, err
	}
	if sc.view != nil && sc.view.dialog != nil {
		return s.dialogEnvelope("dialog_suggestion", sc.user, sc.view, Block{"name": sc.el["action_id"], "value": text(in.Value)}), sc.el, nil
	}
	p, trigger := s.interaction("block_suggestion", sc.user)
	delete(p, "trigger_id") // the one interaction that cannot open a view
	p["action_id"], p["block_id"], p["value"] = sc.el["action_id"], sc.block["block_id"], text(in.Value)
	if sc.view != nil {
		p["view"] = sc.view.wire(w)
		p["container"] = Block{"type": "view", "view_id": sc.view.ID}
	} else {
		s.place(p, sc.channel, sc.message)
	}
	return s.formEnvelope(p, trigger, s.opt.OptionsURL), sc.el, nil
}

// Shortcut runs a global shortcut as a person.
func (s *Server) Shortcut(ctx context.Context, user, callback string) error {
	return s.shortcut(ctx, callback, func() (Block, string, error) {
		u, err := s.world.actor(user)
		if err != nil {
			return nil, "", err
		}
		p, trigger := s.interaction("shortcut", u)
		return p, trigger, nil
	}, user)
}

// MessageAction runs a message shortcut on a message.
func (s *Server) MessageAction(ctx context.Context, t Target, callback string) error {
	return s.shortcut(ctx, callback, func() (Block, string, error) {
		u, c, m, err := s.world.target(t)
		if err != nil {
			return nil, "", err
		}
		p, trigger := s.interaction("message_action", u)
		p["message_ts"], p["message"] = m.TS, m.wire(true)
		p["channel"] = Block{"id": c.ID, "name": c.commandName()}
		s.world.triggers[trigger].channel = c.ID
		p["response_url"] = s.responseURL(hook{channel: c.ID, user: u.ID, source: m.TS, thread: m.ThreadTS})
		return p, trigger, nil
	}, t.User)
}

func (s *Server) shortcut(ctx context.Context, callback string, begin func() (Block, string, error), user string) error {
	e, err := func() (*envelope, error) {
		w := s.world
		w.mu.Lock()
		defer w.mu.Unlock()
		if !s.connected(s.opt.InteractiveURL) {
			return nil, Code("no_app")
		}
		p, trigger, err := begin()
		if err != nil {
			return nil, err
		}
		p["callback_id"], p["action_ts"] = callback, w.nextTS()
		return s.formEnvelope(p, trigger, s.opt.InteractiveURL), nil
	}()
	if err != nil {
		return err
	}
	if a := s.send(ctx, e, 0, ""); a.reason != "" {
		s.notice(user, "The app did not acknowledge the shortcut ("+a.reason+").")
	}
	return nil
}

// notice shows a person a passing remark of Slack's own.
func (s *Server) notice(user, text string) {
	s.world.log.add("notice", Block{"user": user, "text": text})
}
