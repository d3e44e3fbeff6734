package dispatch

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/timeline"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// EventReport is an event as `starling runs` shows it.
type EventReport struct {
	ID       string      `json:"event_id"`
	Kind     string      `json:"kind,omitempty"`
	Type     string      `json:"type,omitempty"`
	Stored   time.Time   `json:"stored"`
	Settled  *time.Time  `json:"settled,omitempty"`
	Attempts int         `json:"attempts,omitempty"`
	Reason   string      `json:"reason,omitempty"`
	Runs     []RunReport `json:"runs,omitempty"`
	// About says in a few words what the event was, User and Channel whose and
	// where; only of one event that is asked for.
	About   string `json:"about,omitempty"`
	User    string `json:"user,omitempty"`
	Channel string `json:"channel,omitempty"`
}

// RunReport is a run as its journal tells it.
type RunReport struct {
	ID      string         `json:"run"`
	Rule    string         `json:"rule"`
	Script  string         `json:"script,omitempty"`
	Version string         `json:"version"`
	Outcome Outcome        `json:"outcome"`
	Error   *runtime.Error `json:"error,omitempty"`
	// Reason is why the run was skipped: its rule is switched off.
	Reason string `json:"reason,omitempty"`
	Steps  uint64 `json:"steps"`
	Passes int    `json:"passes"`
	// Ms is how long the run was under way, ScriptMs how much of it the script's own
	// passes took: the rest it waited for a worker, its effects and the store.
	Ms       float64        `json:"dur_ms"`
	ScriptMs float64        `json:"script_ms"`
	Effects  []EffectReport `json:"effects,omitempty"`
	Ended    *time.Time     `json:"ended,omitempty"`
	// Wait is what a run waits for. Old tells that its script has changed
	// since: InForce is the version that new events meet, empty if none.
	Wait    *timeline.Wait `json:"wait,omitempty"`
	Old     bool           `json:"old,omitempty"`
	InForce string         `json:"in_force,omitempty"`
	// Timeline is what happened, in order; only of a run that is asked for.
	Timeline []timeline.Moment `json:"timeline,omitempty"`
}

// EffectReport is one effect as the journal tells it.
type EffectReport struct {
	Step   int    `json:"step"`
	Kind   string `json:"kind"`
	At     string `json:"at,omitempty"`
	Args   string `json:"args"`
	Result string `json:"result,omitempty"`
	State  string `json:"state"` // done, in flight, or waiting
	Error  string `json:"error,omitempty"`
}

// Report decodes what the store knows of an event. Of a damaged journal it
// gives what is sound, and the fault as the reason.
func Report(info queue.EventInfo) (EventReport, error) { return report(info, false) }

// Detail is Report with the time line of each run.
func Detail(info queue.EventInfo) (EventReport, error) { return report(info, true) }

func report(info queue.EventInfo, detail bool) (EventReport, error) {
	rep := EventReport{ID: info.ID, Stored: info.Stored, Attempts: info.Attempt, Reason: info.Reason}
	if !info.Settled.IsZero() {
		rep.Settled = &info.Settled
	}
	e, err := event.Decode(info.Body)
	if err == nil {
		rep.Kind, rep.Type = string(e.Kind), e.Type
	}
	rec, err := decodeRecord(info.Entries)
	if err != nil && rep.Reason == "" {
		rep.Reason = "decode journal: " + err.Error()
	}
	for i := range rec.Runs {
		run := rec.report(i)
		if run.Outcome == Waiting && info.Reason != "" {
			run.Outcome = Dead
		}
		if detail {
			began := timeline.Moment{At: info.Stored, What: timeline.Event, Kind: rep.Kind, Text: rep.Type, Version: run.Version}
			run.Timeline = append([]timeline.Moment{began}, rec.timeline(i, nil)...)
			if run.Outcome == Dead {
				run.Timeline = append(run.Timeline, timeline.Moment{What: timeline.End, State: string(Dead), Text: info.Reason})
			}
		}
		rep.Runs = append(rep.Runs, run)
	}
	return rep, nil
}

// report is the run of that index; it waits as long as it has no end.
func (rec *record) report(i int) RunReport {
	open := rec.Runs[i]
	end, over := rec.Ends[i]
	run := RunReport{
		ID: open.ID, Rule: open.Rule, Script: open.Script, Version: open.Digest.String(), Outcome: end.Outcome, Error: end.Error, Reason: end.Why,
		Steps: end.Steps, Passes: end.Passes, Ms: timeline.Millis(end.Took), ScriptMs: timeline.Millis(end.Script),
	}
	switch {
	case !over:
		run.Outcome = Waiting
	case end.Outcome != Waiting: // else it has parked, and its row knows more
		run.Ended = &end.At
	}
	steps := rec.Steps[i]
	if last := rec.Last[i]; last != nil {
		steps = append(slices.Clone(steps), *last)
	}
	for n, s := range steps {
		if s.Kind == "" { // of a continuation: its row has this step
			continue
		}
		er := EffectReport{Step: n + 1, Kind: s.Kind, At: s.Pos.String(), Args: show(s.Args), State: "in flight", Error: s.Err}
		switch {
		case s.Done:
			er.State, er.Result = "done", show(s.Value)
		case s.Wait != nil:
			er.State = "waiting"
		}
		run.Effects = append(run.Effects, er)
	}
	return run
}

// timeline tells what the run of that index did, in order. A pass performs
// what it asked for when it is over: its lines stand before these effects. The
// row, if there is one, knows who answered.
func (rec *record) timeline(i int, row *wait.Row) []timeline.Moment {
	var out []timeline.Moment
	steps, next := rec.Steps[i], 0
	effects := func(until int) {
		for ; next < min(until, len(steps)); next++ {
			if steps[next].Kind == "" {
				continue
			}
			out = append(out, steps[next].moments(rec.Runs[i].ID, next+1, row)...)
		}
	}
	resumed := rec.Resumed
	interrupted := func(before time.Time) {
		for len(resumed) > 0 && (before.IsZero() || !resumed[0].After(before)) {
			out = append(out, timeline.Moment{At: resumed[0], What: timeline.Interrupted, Text: "the server ended; the run was taken up again"})
			resumed = resumed[1:]
		}
	}
	n := rec.Notes[i]
	if n == nil {
		n = &notes{}
	}
	logs := n.Logs
	if n.MoreLogs > 0 {
		out = append(out, timeline.Moment{What: timeline.Log, Level: "INFO", Text: leftOut(n.MoreLogs, "line")})
	}
	for _, p := range n.Passes {
		effects(p.Results)
		interrupted(p.At)
		if n.MorePasses > 0 && p.N > 1 {
			out = append(out, timeline.Moment{What: timeline.Pass, Text: leftOut(n.MorePasses, "pass")})
			n.MorePasses = 0
		}
		out = append(out, timeline.Moment{At: p.At, What: timeline.Pass, Pass: p.N, Replayed: p.Results, Steps: p.Steps, Ms: timeline.Millis(p.Took)})
		for ; len(logs) > 0 && logs[0].Pass <= p.N; logs = logs[1:] {
			out = append(out, logs[0].moment(p.At))
		}
	}
	effects(len(steps))
	for _, l := range logs {
		out = append(out, l.moment(time.Time{}))
	}
	interrupted(time.Time{})
	if last := rec.Last[i]; last != nil {
		out = append(out, last.moments(rec.Runs[i].ID, 0, row)...)
	}
	if end, over := rec.Ends[i]; over && end.Outcome != Waiting {
		m := timeline.Moment{At: end.At, What: timeline.End, State: string(end.Outcome), Text: end.Why, Ms: timeline.Millis(end.Took), Steps: end.Steps}
		if end.Error != nil {
			m.Error, m.Pos = end.Error.Msg, end.Error.Pos.String()
		}
		out = append(out, m)
	}
	return out
}

func leftOut(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is left out"
	}
	plural := "s"
	if what == "pass" {
		plural = "es"
	}
	return strconv.Itoa(n) + " " + what + plural + " are left out"
}

// raw is show for what has to be JSON whatever comes.
func raw(v runtime.Value) json.RawMessage {
	if text := show(v); text != "?" {
		return json.RawMessage(text)
	}
	return json.RawMessage(`"?"`)
}

// Clean takes secrets out of all that is shown of the event, in place: text
// masks them in texts.
func (rep *EventReport) Clean(text func(string) string) {
	rep.Reason, rep.About = text(rep.Reason), text(rep.About)
	for i := range rep.Runs {
		run := &rep.Runs[i]
		run.Reason = text(run.Reason)
		if run.Error != nil {
			e := *run.Error
			e.Msg, e.Hint, e.Line = text(e.Msg), text(e.Hint), text(e.Line)
			run.Error = &e
		}
		for j := range run.Effects {
			e := &run.Effects[j]
			e.Args, e.Error = string(timeline.JSON(json.RawMessage(e.Args), text)), text(e.Error)
			if e.Result != "" {
				e.Result = string(timeline.JSON(json.RawMessage(e.Result), text))
			}
		}
		if run.Wait != nil {
			w := *run.Wait
			w.Clean(text)
			run.Wait = &w
		}
		timeline.Clean(run.Timeline, text)
	}
}

// moments are those of an effect.
func (s *step) moments(run string, n int, row *wait.Row) []timeline.Moment {
	m := timeline.Moment{
		At: s.Intended, What: timeline.Effect, Step: n, Kind: s.Kind, Pos: s.Pos.String(), Request: raw(s.Args), State: "in flight", Error: s.Err,
	}
	if s.Wait != nil {
		waits := s.waits(row)
		m.State, m.Answer, m.Error, m.Ms = "begun", raw(s.Asked), "", timeline.Millis(waits[0].Wait.Since.Sub(s.Intended))
		out := []timeline.Moment{m}
		last := len(waits) - 1
		for _, p := range waits[:last] { // it was answered in vain
			before := step{Kind: s.Kind, Pos: s.Pos, Wait: p.Wait}
			out = append(out, before.waited(run, n, p.Answer)...)
		}
		return append(out, s.waited(run, n, waits[last].Answer)...)
	}
	if !s.Done {
		return []timeline.Moment{m}
	}
	m.State = "done"
	if s.Err == "" {
		m.Answer = raw(s.Value)
	}
	if m.At.IsZero() { // nothing was written before it was performed
		m.At = s.At
	} else {
		m.Ms = timeline.Millis(s.At.Sub(s.Intended))
	}
	return []timeline.Moment{m}
}

func (l *notedLog) moment(at time.Time) timeline.Moment {
	m := timeline.Moment{At: at, What: timeline.Log, Level: l.Level.String(), Text: l.Text, Pass: l.Pass}
	if !l.Pos.IsZero() {
		m.Pos = l.Pos.String()
	}
	if l.Attrs.Len() > 0 {
		m.Attrs = raw(l.Attrs)
	}
	return m
}
