package sim

import (
	"errors"
	"net/http"
)

// serveResponse is the far end of a response_url.
func (s *Server) serveResponse(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	a, err := readArgs(r)
	if payload := a.str("payload"); err == nil && payload != "" { // as incoming webhooks take it
		var in Block
		if err = decode([]byte(payload), &in); err == nil {
			a.values = in
		}
	}
	status, body := http.StatusOK, Block(nil)
	if err != nil {
		err = Code("invalid_payload")
	} else {
		status, body, err = s.fault(r, "response_url", w.Header())
	}
	if body == nil && err == nil {
		err = s.respond(r.PathValue("id"), a)
	}
	if err != nil {
		status = http.StatusBadRequest
		if code := Code(""); errors.As(err, &code) && (code == "expired_url" || code == "used_url") {
			status = http.StatusNotFound
		}
	}
	body = finish(body, err, "")
	ok, _ := body["ok"].(bool)
	code, _ := body["error"].(string)
	s.record(Call{Verb: r.Method, Via: a.via, Method: "response_url", Args: a.values, Status: status, OK: ok, Error: code, At: s.now()})
	writeJSON(w, status, body)
}

// respond does what was posted to a response_url.
func (s *Server) respond(id string, a args) error {
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	h, err := w.useHook(id)
	if err != nil {
		return err
	}
	return w.respond(h, a)
}

// respond shows a message where h leads.
func (w *World) respond(h *hook, a args) error {
	c := w.channel(h.channel)
	if c == nil {
		return Code("channel_not_found")
	}
	var source *Message
	if h.source != "" {
		source = w.find(c.ID, h.source, h.user)
	}
	if a.flag("delete_original") {
		if source == nil {
			return Code("message_not_found")
		}
		w.remove(c, source)
		return nil
	}
	m, err := w.appMessage(a)
	if err != nil {
		return err
	}
	if a.flag("replace_original") && h.source != "" {
		if source == nil {
			return Code("message_not_found")
		}
		if source.BotID != w.app.BotID {
			return Code("cant_update_message") // a person's message, from a message shortcut
		}
		by := w.app.UserID
		if m.Text == source.Text {
			by = ""
		}
		w.edit(c, source, by, m)
		return nil
	}
	m.ThreadTS = a.str("thread_ts")
	if a.str("response_type") != "in_channel" {
		m.Viewer = h.user
		if m.ThreadTS == "" {
			m.ThreadTS = h.thread
		}
	}
	_, err = w.post(c, m)
	return err
}
