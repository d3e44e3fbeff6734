// Package timeline is what operators are shown of a run: what it did, waited
// for and was told, in the order in which it happened.
//
//	Moment   one line of it: an effect, a wait, a pass, a log line, an end
//	Wait     what a run waits for, and what would wake it
//	Clean    takes secrets out, before anybody sees it
//	Page     the script that draws a time line in a browser
//
// The command line, the admin API and the pages show the same moments. The
// package knows no journal and no store: package dispatch reads those.
package timeline

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/starling-rules/starling/engine/redact"
)

// What a moment is.
const (
	Event       = "event"       // the event was stored
	Pass        = "pass"        // the script began a pass: the first, or one that replays results
	Effect      = "effect"      // something was done outside the script
	Waiting     = "wait"        // the run began to wait
	Answered    = "answer"      // what it waited for came, or the time was over
	Log         = "log"         // the script logged a line
	Interrupted = "interrupted" // the server ended, the run was taken up again
	Operator    = "operator"    // somebody cancelled, answered, retried or restarted it
	End         = "end"         // it has an outcome
)

// Moment is one line of a time line. What it is says which fields are set.
type Moment struct {
	// At is when; zero if that is not known.
	At   time.Time `json:"at,omitzero"`
	What string    `json:"what"`
	// Step numbers effects and waits from 1; 0 is what the server did with the
	// returned value, or of a failure. Kind and Pos are the effect's, Pos is
	// the log line's too.
	Step int    `json:"step,omitempty"`
	Kind string `json:"kind,omitempty"`
	Pos  string `json:"pos,omitempty"`
	// State is "done" or "in flight" of an effect, or "begun" of one that is
	// waited for; "waiting" or "over" of a wait; the outcome of an end.
	State   string          `json:"state,omitempty"`
	Request json.RawMessage `json:"request,omitempty"`
	Answer  json.RawMessage `json:"answer,omitempty"`
	Error   string          `json:"error,omitempty"`
	// Ms is how long it took; of a wait, how long it has lasted.
	Ms float64 `json:"ms,omitempty"`
	// Pass numbers the passes from 1; Replayed is how many results one began
	// with, Steps what the interpreter did.
	Pass     int    `json:"pass,omitempty"`
	Replayed int    `json:"replayed,omitempty"`
	Steps    uint64 `json:"steps,omitempty"`
	// Text is a log line at Level, or says in words what happened.
	Level string          `json:"level,omitempty"`
	Text  string          `json:"text,omitempty"`
	Attrs json.RawMessage `json:"attrs,omitempty"`
	// Wait is what a run waits for, By who or what ended it: "event",
	// "timeout", "operator"; User is the person.
	Wait *Wait  `json:"wait,omitempty"`
	By   string `json:"by,omitempty"`
	User string `json:"user,omitempty"`
	// Version is the digest that the run goes on with.
	Version string `json:"version,omitempty"`
}

// Wait is what a run waits for.
type Wait struct {
	Kind  string    `json:"kind"`
	Step  int       `json:"step"`
	Title string    `json:"title,omitempty"`
	Since time.Time `json:"since,omitzero"`
	// Until is when it gives up; zero: never.
	Until time.Time `json:"until,omitzero"`
	// Wakes says in words what would make the run go on.
	Wakes []string `json:"wakes,omitempty"`
	// State is what came so far, of what needs more than one answer.
	State json.RawMessage `json:"state,omitempty"`
}

// Millis is a duration as a time line shows it.
func Millis(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// Clean takes secrets out of a time line, in place: text masks them in texts
// (see redact.Set.Clean), and fields whose name says that they hold one are
// masked whole.
func Clean(moments []Moment, text func(string) string) {
	for i := range moments {
		m := &moments[i]
		m.Request, m.Answer, m.Attrs = JSON(m.Request, text), JSON(m.Answer, text), JSON(m.Attrs, text)
		m.Text, m.Error = text(m.Text), text(m.Error)
		if m.Wait != nil {
			w := *m.Wait
			w.Clean(text)
			m.Wait = &w
		}
	}
}

// Clean takes secrets out of what a run waits for.
func (w *Wait) Clean(text func(string) string) {
	w.Title, w.State = text(w.Title), JSON(w.State, text)
	wakes := make([]string, len(w.Wakes))
	for i, s := range w.Wakes {
		wakes[i] = text(s)
	}
	w.Wakes = wakes
}

// JSON takes secrets out of a JSON text; the order of fields stays. What is no
// JSON is masked whole.
func JSON(raw json.RawMessage, text func(string) string) json.RawMessage {
	if len(raw) == 0 {
		return raw
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var out bytes.Buffer
	if err := cleanValue(&out, dec, text, false); err != nil {
		mask, _ := json.Marshal(redact.Mask)
		return mask
	}
	return out.Bytes()
}

// cleanValue copies the next value of dec to out. Hidden texts and numbers, of
// a field that holds secrets, are masked; what is nested in one is looked at.
func cleanValue(out *bytes.Buffer, dec *json.Decoder, text func(string) string, hidden bool) error {
	tok, err := dec.Token()
	if err != nil {
		return err
	}
	switch tok := tok.(type) {
	case json.Delim:
		return cleanNested(out, dec, tok, text)
	case string:
		switch {
		case hidden && tok != "":
			tok = redact.Mask
		default:
			tok = text(tok)
		}
		return writeJSON(out, tok)
	case json.Number:
		if hidden {
			return writeJSON(out, redact.Mask)
		}
		out.WriteString(tok.String())
		return nil
	default: // null, true, false
		return writeJSON(out, tok)
	}
}

func cleanNested(out *bytes.Buffer, dec *json.Decoder, open json.Delim, text func(string) string) error {
	out.WriteByte(byte(open))
	for first := true; dec.More(); first = false {
		if !first {
			out.WriteByte(',')
		}
		hidden := false
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if err := writeJSON(out, text(name)); err != nil {
				return err
			}
			out.WriteByte(':')
			hidden = redact.Sensitive(name)
		}
		if err := cleanValue(out, dec, text, hidden); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	if err != nil {
		return err
	}
	if d, ok := end.(json.Delim); ok {
		out.WriteByte(byte(d))
	}
	return nil
}

// writeJSON writes a value without escaping what only HTML minds.
func writeJSON(out *bytes.Buffer, v any) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	out.Truncate(out.Len() - 1) // the line break
	return nil
}
