package sim

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
)

// routeSim adds the page's own API, which is also for curl:
//
//	curl -d user=U0ADA -d channel='#general' -d 'text=hello' localhost:PORT/sim/message
//
// Bodies are JSON or forms; answers are {"ok": true, …} or {"ok": false,
// "error": …} with status 400.
func (s *Server) routeSim(mux *http.ServeMux) {
	mux.HandleFunc("GET /sim/state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Snapshot()) })
	mux.HandleFunc("GET /sim/stream", s.serveStream)
	mux.HandleFunc("GET /sim/faults", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Faults()) })
	act(mux, "faults", func(_ *http.Request, in Faults) (Block, error) {
		s.SetFaults(in)
		return nil, nil
	})
	mux.HandleFunc("GET /sim/calls", func(w http.ResponseWriter, r *http.Request) {
		method := r.URL.Query().Get("method")
		writeJSON(w, http.StatusOK, Block{"calls": slices.DeleteFunc(s.Calls(), func(c Call) bool { return method != "" && c.Method != method })})
	})
	mux.HandleFunc("GET /sim/deliveries", func(w http.ResponseWriter, r *http.Request) {
		typ := r.URL.Query().Get("type")
		writeJSON(w, http.StatusOK, Block{"deliveries": slices.DeleteFunc(s.Deliveries(), func(d Delivery) bool { return typ != "" && d.Type != typ })})
	})
	mux.HandleFunc("GET /sim/clock", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Clock()) })
	act(mux, "clock", func(_ *http.Request, in clockMove) (Block, error) { return s.moveClock(in) })
	act(mux, "event", func(_ *http.Request, in Block) (Block, error) { return nil, s.Event(in) })
	act(mux, "verify", func(r *http.Request, _ struct{}) (Block, error) {
		return nil, errors.Join(s.VerifyURL(r.Context()), s.CheckSSL(r.Context()))
	})
	act(mux, "resubscribe", func(_ *http.Request, _ struct{}) (Block, error) {
		s.Resubscribe()
		return nil, nil
	})
	act(mux, "disconnect", func(_ *http.Request, in actOn) (Block, error) {
		reason := or(in.Reason, "refresh_requested")
		if in.Oldest {
			s.DisconnectSocket(reason)
			return Block{"connections": s.SocketConnections()}, nil
		}
		return Block{"connections": s.DisconnectSockets(reason)}, nil
	})
	act(mux, "message", func(r *http.Request, in Say) (Block, error) {
		m, err := s.Say(r.Context(), in)
		return Block{"ts": m.TS, "channel": m.Channel}, err
	})
	act(mux, "command", func(r *http.Request, in Command) (Block, error) { return nil, s.Command(r.Context(), in) })
	act(mux, "edit", func(_ *http.Request, in actOn) (Block, error) { return nil, s.EditMessage(in.Target, in.Text) })
	act(mux, "delete", func(_ *http.Request, in actOn) (Block, error) { return nil, s.DeleteMessage(in.Target) })
	act(mux, "react", func(_ *http.Request, in actOn) (Block, error) {
		return nil, s.React(in.Target, strings.Trim(in.Name, ":"), in.Remove)
	})
	act(mux, "message_action", func(r *http.Request, in actOn) (Block, error) {
		return nil, s.MessageAction(r.Context(), in.Target, in.Callback)
	})
	act(mux, "shortcut", func(r *http.Request, in actOn) (Block, error) {
		return nil, s.Shortcut(r.Context(), in.User, in.Callback)
	})
	act(mux, "click", func(r *http.Request, in Click) (Block, error) { return nil, s.Click(r.Context(), in) })
	act(mux, "suggest", func(r *http.Request, in Click) (Block, error) { return s.Suggest(r.Context(), in) })
	act(mux, "submit", func(r *http.Request, in Submission) (Block, error) {
		bad, err := s.Submit(r.Context(), in)
		return Block{"errors": bad}, err
	})
	act(mux, "close", func(r *http.Request, in actOn) (Block, error) {
		return nil, s.CloseView(r.Context(), in.User, in.View, in.All)
	})
	act(mux, "home", func(_ *http.Request, in actOn) (Block, error) { return nil, s.OpenHome(in.User) })
	act(mux, "dm", func(_ *http.Request, in actOn) (Block, error) {
		id, err := s.OpenDM(in.User, strings.Split(in.With, ",")...)
		return Block{"channel": id}, err
	})
	act(mux, "member", func(_ *http.Request, in actOn) (Block, error) { return nil, s.Join(in.User, in.Channel, in.Leave) })
}

// actOn is the body of the smaller acts; each uses what it needs.
type actOn struct {
	Target
	Text     string `json:"text"`
	Name     string `json:"name"` // of an emoji
	Remove   bool   `json:"remove"`
	Callback string `json:"callback_id"`
	View     string `json:"view_id"`
	All      bool   `json:"all"`
	With     string `json:"with"` // user ids, comma-separated
	Leave    bool   `json:"leave"`
	Reason   string `json:"reason"` // of a disconnect
	Oldest   bool   `json:"oldest"` // only that connection
}

// act adds POST /sim/<name>.
func act[T any](mux *http.ServeMux, name string, do func(*http.Request, T) (Block, error)) {
	mux.HandleFunc("POST /sim/"+name, func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		var in T
		out, err := Block(nil), readAct(r, &in)
		if err == nil {
			out, err = do(r, in)
		}
		status := http.StatusOK
		if err != nil {
			status = http.StatusBadRequest
			var code Code
			if !errors.As(err, &code) {
				out = Block{"ok": false, "error": err.Error()}
				writeJSON(w, status, out)
				return
			}
		}
		writeJSON(w, status, finish(out, err, ""))
	})
}

// readAct reads a body that begins with "{" as JSON, others as a form.
func readAct(r *http.Request, into any) error {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return Code("request_too_large")
	}
	if !strings.HasPrefix(strings.TrimSpace(string(body)), "{") {
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		r.Header.Set("Content-Type", or(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"))
		a, err := readArgs(r)
		if err != nil {
			return err
		}
		for k, v := range a.values {
			switch s := text(v); s {
			case "true", "false":
				a.values[k] = s == "true"
			}
			if k == "values" {
				if a.values[k], err = a.nested(k); err != nil {
					return err
				}
			}
		}
		body = payload.JSON(a.values).Body
	}
	d := json.NewDecoder(strings.NewReader(string(body)))
	d.UseNumber()
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	return nil
}
