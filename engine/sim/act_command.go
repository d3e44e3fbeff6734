package sim

import (
	"context"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// Command is a slash command that a person gives.
type Command struct {
	User    string `json:"user"`
	Channel string `json:"channel"`
	Command string `json:"command"` // with its slash
	Text    string `json:"text"`
}

// Command sends a slash command to the app, waits for the answer and shows
// it. A failure is shown as Slack shows it and is no error.
func (s *Server) Command(ctx context.Context, in Command) error {
	e, c, err := s.commandEnvelope(in)
	if err != nil {
		return err
	}
	a := s.send(ctx, e, 0, "")
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if a.reason != "" {
		code := "dispatch_failed"
		if a.reason == "http_timeout" {
			code = "operation_timeout"
		}
		w.slackbotSays(c, in.User, in.Command+" failed with the error \""+code+"\"")
		return nil
	}
	w.commandAnswer(c, in, a)
	return nil
}

func (s *Server) commandEnvelope(in Command) (*envelope, *Channel, error) {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	u, c, err := w.actorIn(in.User, in.Channel)
	if err != nil {
		return nil, nil, err
	}
	if !s.connected(s.opt.CommandsURL) {
		w.slackbotSays(c, u.ID, in.Command+" is not a valid command: no app is connected.")
		return nil, nil, Code("no_app")
	}
	trigger := w.newTrigger(u.ID)
	w.triggers[trigger].channel = c.ID
	form := w.told().CommandForm(in.Command, w.markup(in.Text, true), payload.Person{ID: u.ID, Name: u.Name}, payload.Person{ID: c.ID, Name: c.commandName()}, trigger)
	form.Set("response_url", s.responseURL(hook{channel: c.ID, user: u.ID}))
	p := payload.Fields(form)
	return &envelope{
		id: "tr-" + trigger, kind: "slash_commands", typ: in.Command, url: s.opt.CommandsURL,
		contentType: p.ContentType, body: p.Body, shown: p.JSON,
	}, c, nil
}

// slackbotSays shows a person something that comes from Slack itself.
func (w *World) slackbotSays(c *Channel, user, text string) {
	_, _ = w.post(c, Message{User: slackbot, Text: escaper.Replace(text), Viewer: user})
}

// onlyVisible reports whether an answer shows nothing but the command itself,
// to everybody: what it has to say comes later.
func onlyVisible(reply Block) bool {
	for _, k := range []string{"text", "blocks", "attachments"} {
		if _, ok := reply[k]; ok {
			return false
		}
	}
	return reply["response_type"] == "in_channel"
}

// commandAnswer shows what the app answered to a command at once.
func (w *World) commandAnswer(c *Channel, in Command, a answer) {
	body := strings.TrimSpace(string(a.body))
	if body == "" {
		return
	}
	reply := Block{"text": body}
	if strings.HasPrefix(a.contentType, "application/json") {
		reply = nil
		if err := decode([]byte(body), &reply); err != nil {
			w.slackbotSays(c, in.User, in.Command+" failed with the error \"invalid_command_response\"")
			return
		}
	}
	if onlyVisible(reply) {
		_, _ = w.post(c, Message{User: in.User, Text: escaper.Replace(strings.TrimSpace(in.Command + " " + in.Text))})
		return
	}
	m, err := w.appMessage(args{values: reply})
	if err != nil {
		w.slackbotSays(c, in.User, in.Command+" failed with the error \"invalid_command_response\"")
		return
	}
	if kind, _ := reply["response_type"].(string); kind != "in_channel" {
		m.Viewer = in.User
	}
	_, _ = w.post(c, m)
}
