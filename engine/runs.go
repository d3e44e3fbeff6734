package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/explain"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/redact"
	"github.com/starling-rules/starling/engine/wait"
)

// maxScan bounds how far back a run is looked for by its id.
const maxScan = 10_000

// Runs lists events that had runs, newest first, at most limit. A run that
// waits, or waited, is listed once, with its latest state.
func (o *Operator) Runs(ctx context.Context, limit int) ([]dispatch.EventReport, error) {
	infos, err := o.Store.Recent(ctx, limit)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	out, err := o.reports(infos)
	if err != nil {
		return out, err
	}
	listed := map[string]bool{}
	for i := range out {
		for j := range out[i].Runs {
			o.latest(ctx, &out[i].Runs[j], false)
			listed[out[i].Runs[j].ID] = true
		}
	}
	if len(infos) < limit { // what the journal has forgotten, the rows may not have
		out = append(out, o.older(ctx, limit-len(out), listed)...)
		slices.SortStableFunc(out, func(a, b dispatch.EventReport) int { return b.Stored.Compare(a.Stored) })
	}
	clean := o.clean()
	for i := range out {
		out[i].Clean(clean)
	}
	return out, nil
}

// older are runs of rows that are not listed yet, the latest of them.
func (o *Operator) older(ctx context.Context, limit int, listed map[string]bool) []dispatch.EventReport {
	var rows []wait.Summary
	err := o.registry().List(ctx, func(s wait.Summary) {
		if !listed[s.Run] {
			rows = append(rows, s)
		}
	})
	if err != nil || limit < 1 {
		return nil
	}
	slices.SortFunc(rows, func(a, b wait.Summary) int { return b.Began.Compare(a.Began) })
	var out []dispatch.EventReport
	for _, s := range rows[:min(limit, len(rows))] {
		if rep, err := o.parked(ctx, s.Run, false); err == nil {
			out = append(out, rep)
		}
	}
	return out
}

// latest replaces what the journal of an event says of a run that has parked
// by what its row says.
func (o *Operator) latest(ctx context.Context, run *dispatch.RunReport, detail bool) {
	if run.Outcome != dispatch.Waiting {
		return
	}
	if rep, err := o.parked(ctx, run.ID, detail); err == nil {
		*run = rep.Runs[0]
	}
}

// parked reports a run that has a row, or queue.ErrNotFound.
func (o *Operator) parked(ctx context.Context, id string, detail bool) (dispatch.EventReport, error) {
	row, err := o.registry().Get(ctx, id)
	if err != nil {
		return dispatch.EventReport{}, err
	}
	var since []queue.Entry
	if row.State == wait.Answered {
		if info, err := o.Store.Event(ctx, dispatch.ContinuationID(row)); err == nil {
			since = info.Entries
		}
	}
	rep, ev := dispatch.ReportRow(row, since, detail)
	if detail {
		about(&rep, ev)
	}
	if row.State != wait.Ended {
		o.compare(ctx, &rep.Runs[0])
	}
	return rep, nil
}

// compare says whether a run is on an older version than that in force.
func (o *Operator) compare(ctx context.Context, run *dispatch.RunReport) {
	if o.Set == nil {
		return
	}
	set, err := o.Set(ctx)
	if err != nil {
		return
	}
	if rule := set.Rule(run.Rule); rule != nil {
		run.InForce = rule.Digest.String()
	}
	run.Old = run.InForce != run.Version
}

// about adds what an event was.
func about(rep *dispatch.EventReport, e *event.Event) {
	if e != nil {
		rep.About, rep.User, rep.Channel = explain.Headline(e), e.User, e.Channel
	}
}

// Run finds an event by its id, or by the id of one of its runs, with the time
// lines of its runs. It returns queue.ErrNotFound if there is none.
func (o *Operator) Run(ctx context.Context, id string) (dispatch.EventReport, error) {
	rep, err := o.parked(ctx, id, true)
	if err == nil {
		rep.Clean(o.clean())
		return rep, nil
	}
	if !errors.Is(err, queue.ErrNotFound) {
		return rep, fmt.Errorf("look up run: %w", err)
	}
	info, err := o.Store.Event(ctx, id)
	if errors.Is(err, queue.ErrNotFound) {
		info, err = o.eventOf(ctx, id)
	}
	if err != nil {
		return rep, fmt.Errorf("look up run: %w", err)
	}
	if rep, err = dispatch.Detail(info); err != nil {
		return rep, fmt.Errorf("read event %s: %w", info.ID, err)
	}
	for i := range rep.Runs {
		o.latest(ctx, &rep.Runs[i], true)
	}
	if e, err := event.Decode(info.Body); err == nil {
		about(&rep, e)
	}
	rep.Clean(o.clean())
	return rep, nil
}

// eventOf looks for the event of a run among the latest ones.
func (o *Operator) eventOf(ctx context.Context, run string) (queue.EventInfo, error) {
	infos, err := o.Store.Recent(ctx, maxScan)
	if err != nil {
		return queue.EventInfo{}, err
	}
	for _, info := range infos {
		rep, err := dispatch.Report(info)
		if err != nil {
			continue // a damaged one is not what is looked for
		}
		for _, r := range rep.Runs {
			if r.ID == run {
				return info, nil
			}
		}
	}
	return queue.EventInfo{}, fmt.Errorf("run %s: %w", run, queue.ErrNotFound)
}

// reports are those of events. A continuation has no run of its own: it is left
// out, unless it had rules of on.error run.
func (o *Operator) reports(infos []queue.EventInfo) ([]dispatch.EventReport, error) {
	out, clean := make([]dispatch.EventReport, 0, len(infos)), o.clean()
	for _, info := range infos {
		rep, err := dispatch.Report(info)
		if err != nil {
			return out, fmt.Errorf("read event %s: %w", info.ID, err)
		}
		if run, ok := dispatch.ContinuationOf(info.ID); ok && info.Reason == "" {
			rep.Runs = slices.DeleteFunc(rep.Runs, func(r dispatch.RunReport) bool { return r.ID == run })
			if len(rep.Runs) == 0 {
				continue
			}
		}
		rep.Clean(clean)
		out = append(out, rep)
	}
	return out, nil
}

// clean masks secrets in what is shown.
func (o *Operator) clean() func(string) string {
	var secrets []string
	if o.Secrets != nil {
		secrets = o.Secrets()
	}
	return redact.NewSet(secrets...).Clean
}

// registry are the rows of runs: those of the server, or of the store alone,
// where what is answered goes on at the next start.
func (o *Operator) registry() *wait.Registry {
	if o.Waiting != nil {
		return o.Waiting
	}
	return wait.NewRegistry(wait.Options{
		Store: o.Store, Now: o.Now,
		Continue: func(ctx context.Context, row *wait.Row) error { return dispatch.PutContinuation(ctx, o.Store, row) },
	})
}

// WaitingRun is a run that waits, as a list shows it.
type WaitingRun struct {
	Run     string `json:"run"`
	Event   string `json:"event_id"`
	Rule    string `json:"rule"`
	Script  string `json:"script"`
	Version string `json:"version"`
	// Old tells that the version is not the one in force, which is InForce;
	// that is empty if the rule is gone.
	Old     bool      `json:"old,omitempty"`
	InForce string    `json:"in_force,omitempty"`
	Kind    string    `json:"kind"` // what it waits for: ask, sleep, …
	Step    int       `json:"step"`
	Title   string    `json:"title,omitempty"`
	Began   time.Time `json:"began"`
	Since   time.Time `json:"since"`
	Until   time.Time `json:"until,omitzero"` // zero: for ever
	Bytes   int       `json:"bytes"`
}

// RunFilter says which waiting runs are meant. Empty fields let all through.
type RunFilter struct {
	Rule, Script string
	// Version is the beginning of a digest, "old" or "current".
	Version string
	Limit   int // 0: all
}

// WaitingRuns lists the runs that wait, those that have waited longest first,
// and how many there are in all.
func (o *Operator) WaitingRuns(ctx context.Context, f RunFilter) ([]WaitingRun, error) {
	out, clean := []WaitingRun{}, o.clean()
	err := o.registry().List(ctx, func(s wait.Summary) {
		if s.State != wait.Waiting || f.Rule != "" && s.Rule != f.Rule || f.Script != "" && s.Script != f.Script {
			return
		}
		out = append(out, WaitingRun{
			Run: s.Run, Event: s.Event, Rule: s.Rule, Script: s.Script, Version: s.Digest,
			Kind: s.Kind, Step: s.Step, Title: clean(s.Title), Began: s.Began, Since: s.Since, Until: s.Until, Bytes: s.Bytes,
		})
	})
	if err != nil {
		return nil, fmt.Errorf("list waiting runs: %w", err)
	}
	if len(out) > 0 {
		inForce, known := o.inForce(ctx)
		for i := range out {
			out[i].InForce = inForce[out[i].Rule]
			out[i].Old = known && out[i].InForce != out[i].Version
		}
	}
	out = slices.DeleteFunc(out, func(w WaitingRun) bool { return !f.lets(&w) })
	slices.SortFunc(out, func(a, b WaitingRun) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Run, b.Run))
	})
	if f.Limit > 0 {
		out = out[:min(f.Limit, len(out))]
	}
	return out, nil
}

func (f *RunFilter) lets(w *WaitingRun) bool {
	switch f.Version {
	case "":
		return true
	case "old":
		return w.Old
	case "current":
		return !w.Old
	}
	return len(f.Version) <= len(w.Version) && w.Version[:len(f.Version)] == f.Version
}

// inForce are the versions of the rules in force, if these are known.
func (o *Operator) inForce(ctx context.Context) (versions map[string]string, known bool) {
	if o.Set == nil {
		return nil, false
	}
	set, err := o.Set(ctx)
	if err != nil {
		return nil, false
	}
	versions = map[string]string{}
	for _, r := range set.Rules() {
		versions[r.ID] = r.Digest.String()
	}
	return versions, true
}

// VersionReport is how many runs wait on one version of a script.
type VersionReport struct {
	Script  string    `json:"script"`
	Version string    `json:"version"`
	Old     bool      `json:"old"`
	InForce string    `json:"in_force,omitempty"` // empty: the script, or its rule, is gone
	Waiting int       `json:"waiting"`
	Rules   []string  `json:"rules"`
	Oldest  time.Time `json:"oldest"` // since when the longest of them waits
}

// WaitingVersions tells how many runs wait on which versions, old ones first.
func (o *Operator) WaitingVersions(ctx context.Context, f RunFilter) ([]VersionReport, error) {
	f.Limit = 0
	runs, err := o.WaitingRuns(ctx, f)
	if err != nil {
		return nil, err
	}
	groups := map[[2]string]*VersionReport{}
	for i := range runs {
		w := &runs[i]
		g := groups[[2]string{w.Script, w.Version}]
		if g == nil {
			g = &VersionReport{Script: w.Script, Version: w.Version, Old: w.Old, InForce: w.InForce, Oldest: w.Since}
			groups[[2]string{w.Script, w.Version}] = g
		}
		g.Waiting++
		g.InForce = cmp.Or(g.InForce, w.InForce)
		if !slices.Contains(g.Rules, w.Rule) {
			g.Rules = append(g.Rules, w.Rule)
		}
	}
	out := make([]VersionReport, 0, len(groups))
	for _, g := range groups {
		slices.Sort(g.Rules)
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b VersionReport) int {
		if a.Old != b.Old {
			return map[bool]int{true: -1, false: 1}[a.Old]
		}
		return cmp.Or(cmp.Compare(a.Script, b.Script), a.Oldest.Compare(b.Oldest))
	})
	return out, nil
}
