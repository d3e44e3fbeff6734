package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

var (
	approvals     = flag.Int("approvals", 120, "how many approvals TestApprovalsSurviveKillNine has in flight (in full: 1000)")
	approvalKills = flag.Int("approval-kills", 5, "how often it kills the server, once a second (in full: 60)")
	approvalEdits = flag.Duration("approval-edits", time.Second, "how often it edits the script (in full: 5s)")
)

// scenario is a server that is killed, and all that goes on meanwhile.
type scenario struct {
	t           *testing.T
	slack       *approvalSlack
	crowd       *crowd
	rules, data string
	p           *process
	over        chan struct{}
	kills, idle int    // idle: those that met no run under way
	at          flight // summed over the kills
	edits       atomic.Int64
	lastKill    time.Time
}

// Approvals are asked; then people click, some of them while the server is
// down, it is killed every second, at times when runs post or are about to wait,
// and the script is edited: every run ends once with the right answer, in the
// version that it began with, no message is sent twice and none is lost.
func TestApprovalsSurviveKillNine(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills servers")
	}
	binary(t)
	began := time.Now()
	s := &scenario{t: t, rules: t.TempDir(), data: t.TempDir(), slack: newApprovalSlack(*approvals), over: make(chan struct{})}
	t.Cleanup(s.slack.Close)
	s.crowd = newCrowd(s.slack)
	defer s.crowd.client.CloseIdleConnections()
	s.edit()
	s.serve()
	stop := sync.OnceFunc(func() { close(s.over); s.crowd.work.Wait() })
	defer stop()
	s.crowd.work.Go(s.keepEditing)
	s.ask()
	s.answerAndKill()
	s.finish()
	stop()
	s.check()
	s.restartIsQuiet()
	t.Logf("%d approvals, %d kills, %d edits; of the runs at a kill, in all: %d in a call, %d about to wait or end, %d between two calls, %d with an answer and before the first call; besides %d slept and %d waited for people; %d kills met no run under way",
		*approvals, s.kills, s.edits.Load(), s.at.inCall, s.at.parking, s.at.between, s.at.answered, s.at.asleep, s.at.waiting, s.idle)
	s.slack.mu.Lock()
	lookups := s.slack.lookups
	s.slack.mu.Unlock()
	t.Logf("in %v: %d requests found no server or got no answer, %d clicks were sent again, %d came too late; %d conversations were looked through for a message",
		time.Since(began).Round(time.Millisecond), s.crowd.missed.Load(), s.crowd.repeats.Load(), s.crowd.late.Load(), lookups)
}

// edit writes a new version of the script.
func (s *scenario) edit() {
	writeFile(s.t, filepath.Join(s.rules, "deploy.star"), fmt.Sprintf(approvalScript, s.edits.Load()))
}

func (s *scenario) keepEditing() {
	for {
		select {
		case <-s.over:
			return
		case <-time.After(*approvalEdits):
			s.edits.Add(1)
			s.edit()
		}
	}
}

func (s *scenario) serve() {
	s.p = start(s.t, s.slack.fakeSlack, s.rules, s.data)
	s.crowd.at.Store(&s.p.listen)
}

// kill ends the server a second after the last kill, at a moment when it is
// inconvenient: every other time just after Slack has answered a run that then
// has to be parked. What Slack was told by then it does.
func (s *scenario) kill() {
	const least = 300 * time.Millisecond // the server has to come to something
	time.Sleep(max(least, time.Until(s.lastKill.Add(time.Second))))
	if s.kills%2 == 1 {
		select {
		case <-s.slack.park: // of some time ago
		default:
		}
		select {
		case <-s.slack.park:
			time.Sleep(time.Duration(rand.IntN(4000)) * time.Microsecond)
		case <-time.After(500 * time.Millisecond):
		}
	}
	at := s.slack.flight()
	if err := s.p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		s.t.Fatalf("the server has ended by itself: %v\n%s", err, s.p.log)
	}
	_ = s.p.cmd.Wait()
	s.lastKill = time.Now()
	s.kills++
	s.at.add(at)
	if at.underWay() == 0 {
		s.idle++
	}
	for s.slack.calls.Load() > 0 {
		time.Sleep(time.Millisecond)
	}
}

// ask has all questions asked, with kills meanwhile, but not all of them.
func (s *scenario) ask() {
	asked := make(chan struct{})
	s.crowd.work.Go(func() {
		defer close(asked)
		var all sync.WaitGroup
		every := time.NewTicker(time.Second/time.Duration(*approvals) + 6*time.Millisecond)
		defer every.Stop()
		for job := range *approvals {
			all.Go(func() { s.crowd.ask(s.over, job) })
			select {
			case <-every.C:
			case <-s.over:
			}
		}
		all.Wait()
	})
	s.lastKill = time.Now()
	for deadline := time.Now().Add(time.Minute); s.slack.reached(0) < *approvals; {
		if s.kills < *approvalKills/3 {
			s.kill()
			s.serve()
			continue
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d questions were asked\n%s", s.slack.reached(0), *approvals, s.p.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	<-asked
}

// answerAndKill spreads the clicks over the time that the kills take.
func (s *scenario) answerAndKill() {
	jobs := rand.Perm(*approvals)
	for s.kills < *approvalKills {
		share := (len(jobs) + *approvalKills - s.kills - 1) / (*approvalKills - s.kills)
		for _, job := range jobs[:share] {
			s.crowd.work.Go(func() {
				select {
				case <-s.over:
				case <-time.After(rand.N(time.Second)):
					s.crowd.click(s.over, job)
				}
			})
		}
		jobs = jobs[share:]
		s.kill()
		s.serve()
	}
}

// finish waits until all has come to its end, as far as Slack sees it.
func (s *scenario) finish() {
	limit := time.Now().Add(time.Minute + time.Duration(*approvals)*50*time.Millisecond)
	for s.slack.reached(lastStep) < *approvals && time.Now().Before(limit) {
		time.Sleep(5 * time.Millisecond)
	}
	for { // and as the server does
		status, body := get("http://" + s.p.admin + "/runs?state=waiting")
		if strings.TrimSpace(body) == "[]" {
			return
		}
		if time.Now().After(limit) {
			s.t.Errorf("there are runs that wait: %d %s", status, body)
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// check compares what Slack and the server tell with what should have been.
func (s *scenario) check() {
	t, lost, doubled, old := s.t, 0, 0, 0
	for n := range *approvals {
		j := s.slack.job(n)
		if j.wrong != "" {
			t.Errorf("job %d: %s", n, j.wrong)
		}
		want := [...]string{"go?", choiceOf(n), userOf(n), choiceOf(n), userOf(n), choiceOf(n)}
		for step, more := range want {
			text := fmt.Sprintf("job %d step %d version %s: %s", n, step, j.version, more)
			switch times := s.slack.times(text); {
			case times == 0:
				lost++
				t.Logf("%q was not sent", text)
			case times > 1:
				doubled++
				t.Logf("%q was sent %d times", text, times)
			}
		}
		if j.version != fmt.Sprint(s.edits.Load()) {
			old++
		}
		s.checkRun(n)
	}
	if total, want := s.slack.total(), *approvals*(lastStep+1); total != want || lost > 0 || doubled > 0 {
		t.Errorf("%d messages were lost, %d doubled; Slack has %d, want %d", lost, doubled, total, want)
	}
	if status, body := get("http://" + s.p.admin + "/queue/dead"); status != 200 || strings.TrimSpace(body) != "[]" {
		t.Errorf("dead letters: %d %s", status, body)
	}
	if s.at.underWay() < s.kills {
		t.Errorf("%d kills met %d runs under way: the test has shown little", s.kills, s.at.underWay())
	}
	t.Logf("%d messages lost, %d doubled; %d runs ended in a version older than the newest", lost, doubled, old)
	if t.Failed() {
		for line := range strings.Lines(s.p.log.String()) {
			if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
				t.Log(line)
			}
		}
	}
}

// checkRun asks the server how a job ended.
func (s *scenario) checkRun(job int) {
	status, body := get("http://" + s.p.admin + "/runs/" + approvalEvent(job))
	var rep struct {
		Runs []struct {
			Outcome  string
			Timeline []struct{ What, By, User string }
		}
	}
	if err := json.Unmarshal([]byte(body), &rep); status != 200 || err != nil || len(rep.Runs) != 1 {
		s.t.Errorf("job %d: %d %v %s", job, status, err, body)
		return
	}
	ends, answers := 0, []string{}
	for _, m := range rep.Runs[0].Timeline {
		switch m.What {
		case "end":
			ends++
		case "answer":
			answers = append(answers, m.By+" "+m.User)
		}
	}
	if got, want := strings.Join(answers, ", "), "event "+userOf(job)+", timeout , timeout "; rep.Runs[0].Outcome != "done" || ends != 1 || got != want {
		s.t.Errorf("job %d: %s, %d ends, answers %q, want done, 1, %q\n%s", job, rep.Runs[0].Outcome, ends, got, want, body)
	}
}

// restartIsQuiet starts the server once more: nothing that has ended begins anew.
func (s *scenario) restartIsQuiet() {
	if err := terminate(s.p); err != nil {
		s.t.Errorf("SIGTERM: %v\n%s", err, s.p.log)
	}
	before := s.slack.total()
	s.serve()
	time.Sleep(300 * time.Millisecond)
	if err := terminate(s.p); err != nil {
		s.t.Errorf("SIGTERM: %v\n%s", err, s.p.log)
	}
	if after := s.slack.total(); after != before {
		s.t.Errorf("a restart when all had ended brought %d more messages", after-before)
	}
}
