package dispatch

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/timeline"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// ReportRow tells of a run that waits, or that waited and has ended, as a
// report of the event that it began with, which it returns too, unless that
// cannot be read. since is the journal of its continuation, if it goes on just
// now; with detail there is a time line. Of a damaged row it gives what is
// sound, and the fault as the reason.
func ReportRow(row *wait.Row, since []queue.Entry, detail bool) (EventReport, *event.Event) {
	rep := EventReport{ID: row.Event, Stored: row.Began}
	run := RunReport{ID: row.Run, Rule: row.Rule, Script: row.Script, Version: row.Digest.String(), Outcome: Waiting}
	b, err := decodeBase(row.Base)
	var rec *record
	if err == nil {
		rec, err = b.record()
	}
	if err == nil && len(rec.Runs) == 0 {
		err = fmt.Errorf("no run is in it")
	}
	if err != nil {
		rep.Reason = "decode parked run: " + err.Error()
		rep.Runs = []RunReport{run}
		return rep, nil
	}
	e, err := b.origin()
	if err == nil {
		rep.Kind, rep.Type, rep.Stored = string(e.Kind), e.Type, e.Received
	}
	if row.State == wait.Answered {
		delete(rec.Ends, 0) // of one that was given up before
		for _, en := range since {
			if err := rec.apply(en); err != nil {
				rep.Reason = "decode journal: " + err.Error()
				break
			}
		}
	}
	run = rec.report(0)
	if run.Passes == 0 {
		run.Passes, run.Steps, run.Ms, run.ScriptMs = b.passes, b.steps, timeline.Millis(b.spent), timeline.Millis(b.script)
	}
	run.finishRow(row)
	if detail {
		began := timeline.Moment{At: rep.Stored, What: timeline.Event, Kind: rep.Kind, Text: rep.Type, Version: run.Version}
		run.Timeline = append(append(append([]timeline.Moment{began}, startOf(row)...), rec.timeline(0, row)...), endOfRow(row, rec)...)
	}
	rep.Runs = []RunReport{run}
	return rep, e
}

// ContinuationID is the id of the event by which an answered run goes on.
func ContinuationID(row *wait.Row) string {
	return continuationID + row.Run + "." + row.Wait.Point().String()
}

// ContinuationOf returns the run of an event by which one goes on; ok is false
// for the id of any other event.
func ContinuationOf(event string) (run string, ok bool) {
	run, _, ok = parseContinuation(event)
	return run, ok
}

// finishRow adds what the row knows better than the journal in it.
func (run *RunReport) finishRow(row *wait.Row) {
	switch row.State {
	case wait.Waiting:
		run.Outcome, run.Wait = Waiting, waitReport(row.Run, row.Wait)
	case wait.Ended:
		if run.Outcome == Waiting {
			run.Outcome, run.Reason = Outcome(row.Outcome), row.Why
		}
		if run.Ended == nil && !row.Ended.IsZero() {
			run.Ended = &row.Ended
		}
	}
}

// startOf is the wait of a run that had yet to begin (after), or that an
// operator had begin anew.
func startOf(row *wait.Row) []timeline.Moment {
	w, a := row.At(wait.Point{})
	if w == nil {
		return nil
	}
	if w.Kind == wait.Again {
		m := timeline.Moment{At: w.Since, What: timeline.Operator, Text: w.Title}
		if a != nil {
			m.User = a.Who
		}
		return []timeline.Moment{m}
	}
	s := step{Kind: w.Kind, Wait: w, Done: a != nil}
	return s.waited(row.Run, 0, a)
}

// endOfRow is the end that the journal in a row does not tell: the run was
// given up, or somebody answered and it is yet to go on.
func endOfRow(row *wait.Row, rec *record) []timeline.Moment {
	if _, over := rec.Ends[0]; over || row.State != wait.Ended {
		return nil
	}
	return []timeline.Moment{{At: row.Ended, What: timeline.End, State: row.Outcome, Text: row.Why}}
}

// waits are those of a step, the newest last: that is in the journal, and those
// before it are in the row, as are the answers.
func (s *step) waits(row *wait.Row) []wait.Past {
	newest := wait.Past{Wait: s.Wait}
	if row == nil {
		return []wait.Past{newest}
	}
	var out []wait.Past
	for _, p := range row.Waits(s.Wait.Step) {
		switch {
		case p.Wait.Point().Before(s.Wait.Point()):
			out = append(out, p)
		case p.Wait.Point() == s.Wait.Point():
			newest.Answer = p.Answer
		}
	}
	return append(out, newest)
}

// waited are the moments of a wait: that it began, and how it ended. a is nil
// while it lasts, and if the answer is not known here.
func (s *step) waited(run string, n int, a *wait.Answer) []timeline.Moment {
	w := waitReport(run, s.Wait)
	m := timeline.Moment{At: s.Wait.Since, What: timeline.Waiting, Step: n, Kind: s.Kind, Pos: s.Pos.String(), State: "waiting", Wait: w}
	if a == nil && !s.Done {
		return []timeline.Moment{m}
	}
	m.State = "over"
	over := timeline.Moment{At: s.At, What: timeline.Answered, Step: n, Kind: s.Kind, Error: s.Err}
	if s.Done && s.Err == "" && n > 0 {
		over.Answer = raw(s.Value)
	}
	if a != nil {
		over.At, over.By = a.At, a.By
		switch a.By {
		case wait.ByEvent:
			over.User = a.Event.User
			if a.Event.Kind != "" {
				over.Text = "with " + a.Event.Kind + " " + a.Event.ID
			}
		case wait.ByTimeout:
		default:
			over.User = a.Who
		}
		if over.Answer == nil && a.Value != nil {
			over.Answer = raw(a.Value)
		}
	}
	m.Ms = timeline.Millis(over.At.Sub(s.Wait.Since))
	return []timeline.Moment{m, over}
}

// waitReport says what a run waits for, and what would wake it.
func waitReport(run string, w *wait.Wait) *timeline.Wait {
	if w == nil {
		return nil
	}
	out := &timeline.Wait{Kind: w.Kind, Step: w.Step, Title: w.Title, Since: w.Since, Until: w.Until, Wakes: wakes(run, w)}
	if w.State.Len() > 0 {
		out.State = raw(w.State)
	}
	return out
}

// wakes says in words what makes a run go on.
func wakes(run string, w *wait.Wait) []string {
	var out []string
	by := whoMay(w.Match)
	at := ""
	if ch := w.Match.Text("channel"); ch != "" {
		at = " in " + ch
		if ts := w.Match.Text("ts"); ts != "" {
			at += ", message " + ts
		}
	}
	value := "JSON"
	switch w.Kind {
	case wait.Ask:
		choices := choiceTexts(w.Match)
		out = append(out, "a click"+at+" by "+by+": "+strings.Join(quoted(choices), ", "))
		if len(choices) > 0 {
			value = shellWord(choices[0])
		}
	case wait.AskForm:
		out = append(out, "a form submitted from the message"+at+" by "+by)
		value = `'{"ACTION_ID": "value"}'`
	case wait.Trigger:
		out = append(out, "a click by "+by+" on the button that brings a fresh trigger_id")
	case wait.Sleep, wait.After:
		value = ""
	case wait.Again:
		return nil
	default:
		out = append(out, "the first "+strings.TrimSpace(w.Title))
	}
	if n, _ := w.Match.Get("quorum"); n != nil {
		have := 0
		if list, _ := w.State.Get("answers"); list != nil {
			if l, ok := list.(runtime.List); ok {
				have = len(l)
			}
		}
		out[0] += fmt.Sprintf(" (%d of %v answers so far)", have, n)
	}
	if !w.Until.IsZero() {
		out = append(out, "the time: "+w.Until.UTC().Format(time.RFC3339))
	}
	command := "starling runs continue " + run
	if value != "" {
		command += " --answer " + value
	}
	return append(out, command)
}

// whoMay is the audience that a wait keeps, as far as it does.
func whoMay(match *runtime.Dict) string {
	var all []string
	for _, name := range [...]string{"users", "groups"} {
		v, _ := match.Get(name)
		list, _ := v.(runtime.List)
		for _, x := range list {
			if s, ok := x.(string); ok {
				all = append(all, s)
			}
		}
	}
	const most = 8
	switch n := len(all); {
	case n == 0:
		return "anybody"
	case n > most:
		all = append(all[:most:most], strconv.Itoa(n-most)+" others")
	}
	return strings.Join(all, ", ")
}

// choiceTexts are what the buttons of a question say.
func choiceTexts(match *runtime.Dict) []string {
	v, _ := match.Get("choices")
	list, _ := v.(runtime.List)
	out := make([]string, 0, len(list))
	for _, c := range list {
		switch c := c.(type) {
		case string:
			out = append(out, c)
		case *runtime.Dict:
			out = append(out, c.Text("text"))
		}
	}
	return out
}

func quoted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = strconv.Quote(s)
	}
	return out
}

// shellWord quotes a text for a shell if it needs it.
func shellWord(s string) string {
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
