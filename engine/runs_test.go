package engine_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/timeline"
)

// waitingRule waits for an event that never comes.
const waitingRule = `
def wait(e):
    log.info("began for " + e.text, password = "hunter2", note = "xoxb-123456789012-abcdefghijkl")
    probe.see(step = "one", version = 1)
    w = wait_event("command", {"command": "/go"}, timeout = "1h")
    probe.see(step = "two", got = w.text if w else None)
    fail("two is too many") if w and w.text == "fail" else None
on.message("^wait", wait)
`

// administer asks the admin port.
func (r *rig) administer(t *testing.T, method, path, body string, header ...string) (int, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+r.AdminAddr().String()+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, out
}

func asked[T any](t *testing.T, r *rig, method, path, body string) (v T) {
	t.Helper()
	status, out := r.administer(t, method, path, body)
	if err := json.Unmarshal(out, &v); err != nil || status != http.StatusOK {
		t.Fatalf("%s %s: %d %s", method, path, status, out)
	}
	return v
}

// waits returns the runs that wait, once there are n.
func (r *rig) waits(t *testing.T, n int, query string) []engine.WaitingRun {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		list := asked[[]engine.WaitingRun](t, r, http.MethodGet, "/runs?state=waiting"+query, "")
		if len(list) == n {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("want %d runs that wait, got %+v\n%s", n, list, r.log)
		}
	}
}

// ended returns a run once it has an outcome.
func (r *rig) ended(t *testing.T, id string) dispatch.RunReport {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		run := r.shown(t, id)
		if run.Outcome != dispatch.Waiting {
			return run
		}
		if time.Now().After(deadline) {
			t.Fatalf("run %s never ends: %+v\n%s", id, run, r.log)
		}
	}
}

func (r *rig) shown(t *testing.T, id string) dispatch.RunReport {
	t.Helper()
	rep := asked[dispatch.EventReport](t, r, http.MethodGet, "/runs/"+id, "")
	for _, run := range rep.Runs {
		if run.ID == id {
			return run
		}
	}
	t.Fatalf("run %s is not in %+v", id, rep)
	return dispatch.RunReport{}
}

// whats are the kinds of the moments of a time line, in order.
func whats(run dispatch.RunReport) string {
	var all []string
	for _, m := range run.Timeline {
		all = append(all, m.What)
	}
	return strings.Join(all, " ")
}

func moment(t *testing.T, run dispatch.RunReport, what string) timeline.Moment {
	t.Helper()
	for _, m := range run.Timeline {
		if m.What == what {
			return m
		}
	}
	t.Fatalf("no %s in %s", what, whats(run))
	return timeline.Moment{}
}

func adminRig(t *testing.T, text string) *rig {
	r, _ := newSlackRig(t, map[string]string{"a.star": text}, func(o *engine.Options) {
		o.Config.Admin = "127.0.0.1:0"
		o.Config.Secrets = map[string]string{"PASS": "open-sesame"}
	})
	return r
}

// An operator sees what a run did and waits for, and answers in the place of
// the event; whoever comes second is told who was first.
func TestAnOperatorAnswersARunThatWaits(t *testing.T) {
	t.Parallel()
	r := adminRig(t, waitingRule)
	r.send("/slack/events", jsonBody, message("1", "wait open-sesame"))
	w := r.waits(t, 1, "")[0]
	if w.Rule != "a.star:wait" || w.Script != "a.star" || w.Kind != "wait_event" || w.Step != 2 || w.Old || w.Until.Sub(w.Since) < 59*time.Minute {
		t.Errorf("waiting run %+v", w)
	}
	run := r.shown(t, w.Run)
	if got := whats(run); got != "event pass log effect pass effect wait" && got != "event pass log effect effect wait" {
		t.Errorf("time line: %s", got)
	}
	if run.Outcome != dispatch.Waiting || run.Wait == nil || run.Wait.Step != 2 || !strings.Contains(strings.Join(run.Wait.Wakes, "\n"), "starling runs continue "+w.Run) {
		t.Errorf("run %+v waits for %+v", run, run.Wait)
	}
	logged := moment(t, run, timeline.Log)
	if logged.Text != "began for wait ***" || string(logged.Attrs) != `{"password":"***","note":"***"}` || logged.Pos != "a.star:3:9" {
		t.Errorf("log line %+v %s", logged, logged.Attrs)
	}

	path := "/runs/" + w.Run
	for _, tc := range []struct {
		path, body string
		status     int
		says       string
	}{
		{path + "/continue", `{"answer": `, 400, "body"},
		{path + "/continue", `{"anser": 1}`, 400, "anser"},
		{path + "/continue?step=2", ``, 400, "step"},
		{path + "/retry?step=x", ``, 400, "step"},
		{path + "/retry?step=9", ``, 409, "it has steps 1 to"},
		{"/runs/nope/cancel", ``, 404, "not found"},
		{"/runs/nope/restart", ``, 404, "not found"},
	} {
		if status, out := r.administer(t, http.MethodPost, tc.path, tc.body); status != tc.status || !strings.Contains(string(out), tc.says) {
			t.Errorf("POST %s %s: %d %s, want %d %q", tc.path, tc.body, status, out, tc.status, tc.says)
		}
	}
	if status, _ := r.administer(t, http.MethodPost, path+"/cancel", "", "Origin", "https://evil.example"); status != http.StatusForbidden {
		t.Errorf("another site's page: %d", status)
	}

	did := asked[engine.Acted](t, r, http.MethodPost, path+"/continue", `{"answer": {"text": "now"}, "who": "ann"}`)
	if did.Did != "continued" {
		t.Errorf("%+v", did)
	}
	run = r.ended(t, w.Run)
	answer := moment(t, run, timeline.Answered)
	if run.Outcome != dispatch.Done || answer.By != "operator" || answer.User != "ann" || string(answer.Answer) != `{"text":"now"}` {
		t.Errorf("outcome %s, answered %+v %s", run.Outcome, answer, answer.Answer)
	}
	if seen := r.wait(2); seen[1].Text("got") != "now" {
		t.Errorf("the script got %v", seen[1])
	}
	if status, out := r.administer(t, http.MethodPost, path+"/continue", `{"answer": "late"}`); status != http.StatusConflict || !strings.Contains(string(out), "it has ended: done") {
		t.Errorf("a second answer: %d %s", status, out)
	}
	if list := asked[[]dispatch.EventReport](t, r, http.MethodGet, "/runs", ""); len(list) != 1 || len(list[0].Runs) != 1 || list[0].Runs[0].Outcome != dispatch.Done {
		t.Errorf("the list shows it more than once, or as it was: %+v", list)
	}
}

// A cancelled run runs nothing more; a retry keeps the results of the steps
// before, and does the others again.
func TestAnOperatorCancelsAndRetries(t *testing.T) {
	t.Parallel()
	r := adminRig(t, waitingRule)
	r.send("/slack/events", jsonBody, message("1", "wait"))
	first := r.waits(t, 1, "")[0].Run
	asked[engine.Acted](t, r, http.MethodPost, "/runs/"+first+"/cancel", `{"who": "ann"}`)
	run := r.ended(t, first)
	if end := run.Timeline[len(run.Timeline)-1]; run.Outcome != dispatch.Cancelled || end.Text != "cancelled by ann" {
		t.Errorf("outcome %s, end %+v", run.Outcome, end)
	}
	moment(t, run, timeline.Waiting)
	if n := len(r.all()); n != 1 {
		t.Errorf("the script went on: %d", n)
	}

	did := asked[engine.Acted](t, r, http.MethodPost, "/runs/"+first+"/retry?step=2", `{"who": "ann"}`)
	if did.Did != "retried" || did.New == "" || did.New == first || did.Step != 2 {
		t.Fatalf("%+v", did)
	}
	r.waits(t, 1, "")
	if n := len(r.all()); n != 1 {
		t.Errorf("step 1 was done again: %d", n)
	}
	asked[engine.Acted](t, r, http.MethodPost, "/runs/"+did.New+"/continue", `{"answer": {"text": "fail"}}`)
	run = r.ended(t, did.New)
	if run.Outcome != dispatch.Failed || !strings.Contains(moment(t, run, timeline.Operator).Text, "run "+first+" is tried again from step 2") {
		t.Errorf("%s: %s", run.Outcome, whats(run))
	}

	again := asked[engine.Acted](t, r, http.MethodPost, "/runs/"+did.New+"/retry?step=1", "")
	r.waits(t, 1, "")
	if n := len(r.wait(3)); n != 3 {
		t.Errorf("want step 1 done again: %d", n)
	}
	// That of a run that waits takes its place.
	next := asked[engine.Acted](t, r, http.MethodPost, "/runs/"+again.New+"/retry", "")
	if w := r.waits(t, 1, "")[0]; w.Run != next.New {
		t.Errorf("%s waits, want %s", w.Run, next.New)
	}
}

// Runs stay on the version they began with: operators see how many, and have
// them begin again on the new one.
func TestRunsOnOldVersionsAreCountedAndRestarted(t *testing.T) {
	t.Parallel()
	r := adminRig(t, waitingRule)
	r.send("/slack/events", jsonBody, message("1", "wait a"))
	r.send("/slack/events", jsonBody, message("2", "wait b"))
	old := r.waits(t, 2, "")
	r.write("a.star", strings.ReplaceAll(waitingRule, "version = 1", "version = 2"))
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.send("/slack/events", jsonBody, message("3", "wait c"))
	r.waits(t, 3, "")
	groups := asked[[]engine.VersionReport](t, r, http.MethodGet, "/runs/versions?version=old", "")
	if len(groups) != 1 || groups[0].Waiting != 2 || !groups[0].Old || groups[0].Version != old[0].Version || groups[0].InForce == groups[0].Version || groups[0].Rules[0] != "a.star:wait" {
		t.Fatalf("old versions %+v", groups)
	}
	if run := r.shown(t, old[0].Run); !run.Old || run.InForce != groups[0].InForce {
		t.Errorf("run %+v", run)
	}
	for _, w := range r.waits(t, 2, "&version=old&rule=a.star:wait") {
		did := asked[engine.Acted](t, r, http.MethodPost, "/runs/"+w.Run+"/restart", "")
		if did.Did != "restarted" || did.New == "" {
			t.Errorf("%+v", did)
		}
		if run := r.ended(t, w.Run); run.Outcome != dispatch.Cancelled {
			t.Errorf("the old run: %s", run.Outcome)
		}
	}
	r.waits(t, 0, "&version=old")
	r.waits(t, 3, "&version=current")
	if seen := r.wait(5); len(seen) != 5 {
		t.Errorf("seen %v", seen)
	}

	// Without its rule a run waits on, and cannot begin again.
	r.write("a.star", "on.message('^other', lambda e: None)\n")
	if err := r.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	gone := r.waits(t, 3, "&version=old")[0]
	if gone.InForce != "" {
		t.Errorf("%+v", gone)
	}
	if status, out := r.administer(t, http.MethodPost, "/runs/"+gone.Run+"/restart", ""); status != http.StatusConflict || !strings.Contains(string(out), "there is no rule a.star:wait any more") {
		t.Errorf("restart without a rule: %d %s", status, out)
	}
	asked[engine.Acted](t, r, http.MethodPost, "/runs/"+gone.Run+"/continue", "")
	if run := r.ended(t, gone.Run); run.Outcome != dispatch.Done {
		t.Errorf("on its old version: %s", run.Outcome)
	}
}

// A run that never waited can be tried again as well, from where it failed.
func TestAFailedRunIsRetriedFromWhereItFailed(t *testing.T) {
	t.Parallel()
	r := adminRig(t, `
def work(e):
    n = kv.incr("n")
    probe.see(n = n)
    if n == 1:
        fail("not yet")
    probe.see(n = "done")
on.message("^work", work)
`)
	r.send("/slack/events", jsonBody, message("1", "work"))
	r.wait(1)
	var id string
	for id == "" {
		for _, e := range asked[[]dispatch.EventReport](t, r, http.MethodGet, "/runs", "") {
			if len(e.Runs) == 1 && e.Runs[0].Outcome == dispatch.Failed {
				id = e.Runs[0].ID
			}
		}
	}
	did := asked[engine.Acted](t, r, http.MethodPost, "/runs/"+id+"/retry", "")
	if run := r.ended(t, did.New); did.Step != 3 || run.Outcome != dispatch.Failed {
		t.Errorf("with the results of all steps it fails as before: %+v %s", did, run.Outcome)
	}
	did = asked[engine.Acted](t, r, http.MethodPost, "/runs/"+id+"/retry?step=1", "")
	if run := r.ended(t, did.New); run.Outcome != dispatch.Done {
		t.Errorf("from the start: %s %v", run.Outcome, run.Error)
	}
	if status, out := r.administer(t, http.MethodPost, "/runs/"+did.New+"/retry", ""); status != http.StatusConflict || !strings.Contains(string(out), "it ended well") {
		t.Errorf("retry of a run that ended well: %d %s", status, out)
	}
}
