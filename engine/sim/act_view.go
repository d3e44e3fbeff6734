package sim

import (
	"context"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// troubled is what Slack says when an app's answer to a modal is unusable.
const troubled = "We had some trouble connecting. Try again?"

// Submission is a person pressing the submit button of a modal.
type Submission struct {
	User   string `json:"user"`
	View   string `json:"view_id"`
	Values Block  `json:"values,omitempty"` // as in Click
}

// Submit tells the app of a submitted modal and does what it answers. The
// errors, by block_id, are what the person is shown; "" holds a general one.
func (s *Server) Submit(ctx context.Context, in Submission) (map[string]string, error) {
	e, bad, err := s.submitEnvelope(in)
	if err != nil || len(bad) > 0 {
		return bad, err
	}
	a := s.send(ctx, e, 0, "")
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	v := w.view(in.View, "")
	if v == nil {
		return nil, nil // closed meanwhile
	}
	fresh := *v
	fresh.Errors = w.viewAnswer(v, a)
	if len(fresh.Errors) > 0 {
		w.remember(&fresh)
		w.setStack(v.User, w.modals[v.User])
	}
	return fresh.Errors, nil
}

func (s *Server) submitEnvelope(in Submission) (*envelope, map[string]string, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, err := w.actor(in.User)
	if err != nil {
		return nil, nil, err
	}
	if !s.connected(s.opt.InteractiveURL) {
		return nil, nil, Code("no_app")
	}
	v := w.view(in.View, "")
	if v == nil || v.User != u.ID || v.Type != "modal" {
		return nil, nil, Code("view_not_found")
	}
	fresh := *v
	fresh.Values, fresh.Errors = w.stateValues(v.Blocks, in.Values), nil
	w.remember(&fresh)
	if bad := checkInputs(v.Blocks, fresh.Values); len(bad) > 0 {
		return nil, bad, nil
	}
	if v.dialog != nil {
		return s.dialogEnvelope("dialog_submission", u, &fresh, Block{"submission": fresh.submission()}), nil, nil
	}
	p, trigger := s.interaction("view_submission", u)
	p["view"], p["response_urls"] = fresh.wire(w), s.responseURLs(&fresh)
	return s.formEnvelope(p, trigger, s.opt.InteractiveURL), nil, nil
}

// responseURLs gives a response_url for each input that asks for one.
func (s *Server) responseURLs(v *View) []Block {
	out := []Block{}
	for _, b := range v.Blocks {
		el, _ := b["element"].(Block)
		if on, _ := el["response_url_enabled"].(bool); !on {
			continue
		}
		id, _ := b["block_id"].(string)
		action, _ := el["action_id"].(string)
		in, _ := v.Values[id].(Block)
		st, _ := in[action].(Block)
		kind, _ := el["type"].(string)
		if channel, ok := st[payload.StateKey(kind)].(string); ok && channel != "" {
			out = append(out, Block{
				"block_id": id, "action_id": action, "channel_id": channel,
				"response_url": s.responseURL(hook{channel: channel, user: v.User}),
			})
		}
	}
	return out
}

// viewAnswer does what an app answered to a submitted modal and returns the
// errors to show.
func (w *World) viewAnswer(v *View, a answer) map[string]string {
	if v.dialog != nil {
		return w.dialogAnswer(v, a)
	}
	general := map[string]string{"": troubled}
	if a.reason != "" {
		return general
	}
	if strings.TrimSpace(string(a.body)) == "" {
		w.closeTop(v)
		return nil
	}
	var body struct {
		Action string            `json:"response_action"`
		Errors map[string]string `json:"errors"`
		View   Block             `json:"view"`
	}
	if decode(a.body, &body) != nil || !strings.HasPrefix(a.contentType, "application/json") {
		return general
	}
	switch body.Action {
	case "", "clear":
		if body.Action == "" {
			w.closeTop(v)
		} else {
			w.setStack(v.User, nil)
		}
		return nil
	case "errors":
		for id := range body.Errors {
			if !slices.ContainsFunc(v.Blocks, func(b Block) bool { return b["block_id"] == id && b["type"] == "input" }) {
				return general
			}
		}
		if len(body.Errors) == 0 {
			return general
		}
		return body.Errors
	case "update", "push":
		fresh, err := w.newView(body.View, v.User)
		if err != nil || fresh.Type != "modal" {
			return general
		}
		if body.Action == "update" {
			w.replaceView(w.view(v.ID, ""), fresh)
		} else if w.openView(fresh, true) != nil {
			return general
		}
		return nil
	}
	return general
}

// closeTop closes the view and what is above it; the one below shows again.
func (w *World) closeTop(v *View) {
	stack := w.modals[v.User]
	i := slices.IndexFunc(stack, func(x *View) bool { return x.ID == v.ID })
	if i < 0 {
		return
	}
	if isTrue(v.Body["clear_on_close"]) {
		i = 0
	}
	w.setStack(v.User, slices.Clone(stack[:i]))
}

// CloseView closes a modal, or with all the whole stack; the app is told of
// each that wants it.
func (s *Server) CloseView(ctx context.Context, user, view string, all bool) error {
	envs, err := s.closeEnvelopes(user, view, all)
	if err != nil {
		return err
	}
	for _, e := range envs {
		if a := s.send(ctx, e, 0, ""); a.reason != "" {
			s.notice(user, "The app did not acknowledge the closed view ("+a.reason+").")
		}
	}
	return nil
}

func (s *Server) closeEnvelopes(user, view string, all bool) ([]*envelope, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, err := w.actor(user)
	if err != nil {
		return nil, err
	}
	v := w.view(view, "")
	if v == nil || v.User != u.ID || v.Type != "modal" {
		return nil, Code("view_not_found")
	}
	before := slices.Clone(w.modals[u.ID])
	if all {
		w.setStack(u.ID, nil)
	} else {
		w.closeTop(v)
	}
	var envs []*envelope
	for _, gone := range slices.Backward(before[len(w.modals[u.ID]):]) {
		if gone.dialog != nil && gone.dialog.tellCancel && s.connected(s.opt.InteractiveURL) {
			envs = append(envs, s.dialogEnvelope("dialog_cancellation", u, gone, nil))
		}
		if isTrue(gone.Body["notify_on_close"]) && s.connected(s.opt.InteractiveURL) {
			p, trigger := s.interaction("view_closed", u)
			delete(p, "trigger_id")
			p["view"], p["is_cleared"] = gone.wire(w), all
			envs = append(envs, s.formEnvelope(p, trigger, s.opt.InteractiveURL))
		}
	}
	return envs, nil
}

func isTrue(v any) bool {
	b, _ := v.(bool)
	return b
}
