package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// lastStep is that of the last message of a job in approvalScript. The script
// waits for an answer after step 0, and sleeps after steps 2 and 4.
const lastStep = 5

const approvalScript = `
VERSION = "%d"
def say(e, step, more):
    post(e.channel, "%%s step %%d version %%s: %%s" %% (e.text, step, VERSION, more))
def deploy(e):
    a = ask("%%s step 0 version %%s: go?" %% (e.text, VERSION), ["yes", "no"])
    say(e, 1, a.choice)
    say(e, 2, a.user)
    sleep("1.1s")
    say(e, 3, a.choice)
    say(e, 4, a.user)
    sleep("1.1s")
    say(e, 5, a.choice)
on.message("^job ", deploy)
`

var (
	stepForm   = regexp.MustCompile(`^job (\d+) step (\d+) version (\d+): (.*)$`)
	buttonForm = regexp.MustCompile(`starling\.ask:[0-9a-f]+\.[0-9]+/`)
)

// approvalJob is what Slack has seen of a run.
type approvalJob struct {
	channel, ts, button string    // of its question; the button without the choice
	version             string    // in the question
	step                int       // of the newest message that was answered; -1: none
	at                  time.Time // when it was
	open                int       // calls for it that are yet to be answered
	acked               bool      // somebody has clicked, and the server has taken it
	wrong               string    // the first message that is not as it should be
}

// approvalSlack takes its time for each call, some of it before and some after
// it does what is asked, and keeps count of the jobs that the messages are of.
type approvalSlack struct {
	*fakeSlack
	calls atomic.Int64 // open just now
	park  chan struct{}

	state sync.Mutex
	jobs  []approvalJob // by number
}

func newApprovalSlack(jobs int) *approvalSlack {
	s := &approvalSlack{
		fakeSlack: &fakeSlack{count: map[string]int{}, held: map[string]chan struct{}{}, awaited: map[string]chan time.Time{}},
		park:      make(chan struct{}, 1), jobs: make([]approvalJob, jobs),
	}
	for n := range s.jobs {
		s.jobs[n].step = -1
	}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	return s
}

// answer makes a call take time, and notes of which job it is.
func (s *approvalSlack) answer(w http.ResponseWriter, r *http.Request) {
	s.calls.Add(1)
	defer s.calls.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the server was killed while it called
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	m := s.message(r.Header.Get("Content-Type"), body)
	if m != nil {
		s.change(m.job, func(j *approvalJob) { j.open++ })
		defer s.change(m.job, func(j *approvalJob) { j.open-- })
	}
	time.Sleep(time.Duration(rand.IntN(25)) * time.Millisecond)
	out := httptest.NewRecorder()
	s.serve(out, r)
	time.Sleep(time.Duration(rand.IntN(25)) * time.Millisecond)
	if m != nil && r.URL.Path == "/api/chat.postMessage" {
		var res struct{ TS string }
		_ = json.Unmarshal(out.Body.Bytes(), &res)
		s.posted(m, res.TS)
	}
	_, _ = w.Write(out.Body.Bytes())
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	if m != nil && m.step%2 == 0 { // the run is about to park
		select {
		case s.park <- struct{}{}:
		default:
		}
	}
}

// approvalMessage is a message of a job.
type approvalMessage struct {
	job, step                      int
	version, more, channel, button string
}

// message reads the arguments of a call; nil if it is not about a job.
func (s *approvalSlack) message(contentType string, body []byte) *approvalMessage {
	var args struct {
		Channel, Text string
		Blocks        json.RawMessage
	}
	if json.Unmarshal(body, &args) != nil {
		form, _ := url.ParseQuery(string(body))
		args.Channel, args.Text, args.Blocks = form.Get("channel"), form.Get("text"), json.RawMessage(form.Get("blocks"))
	}
	found := stepForm.FindStringSubmatch(args.Text)
	if found == nil {
		return nil
	}
	m := &approvalMessage{version: found[3], more: found[4], channel: args.Channel, button: buttonForm.FindString(string(args.Blocks))}
	m.job, _ = strconv.Atoi(found[1])
	m.step, _ = strconv.Atoi(found[2])
	return m
}

// posted notes a message, and whether it is the one that should have come.
func (s *approvalSlack) posted(m *approvalMessage, ts string) {
	want := [...]string{"go?", choiceOf(m.job), userOf(m.job), choiceOf(m.job), userOf(m.job), choiceOf(m.job)}
	s.change(m.job, func(j *approvalJob) {
		if m.step == 0 && j.step < 0 {
			j.channel, j.ts, j.button, j.version = m.channel, ts, m.button, m.version
		}
		if j.wrong == "" && (m.more != want[m.step] || m.version != j.version || m.step != j.step+1 && m.step != j.step) {
			j.wrong = fmt.Sprintf("step %d version %s: %s, after step %d of version %s", m.step, m.version, m.more, j.step, j.version)
		}
		j.step, j.at = max(j.step, m.step), time.Now()
	})
}

func (s *approvalSlack) change(job int, f func(*approvalJob)) {
	s.state.Lock()
	defer s.state.Unlock()
	f(&s.jobs[job])
}

// job is what is known of one.
func (s *approvalSlack) job(n int) approvalJob {
	s.state.Lock()
	defer s.state.Unlock()
	return s.jobs[n]
}

// reached is how many jobs have come to a step.
func (s *approvalSlack) reached(step int) (count int) {
	s.state.Lock()
	defer s.state.Unlock()
	for i := range s.jobs {
		if s.jobs[i].step >= step {
			count++
		}
	}
	return count
}

// choiceOf is what people choose for a job, userOf who does.
func choiceOf(job int) string { return [...]string{"yes", "no"}[job%2] }
func userOf(job int) string   { return fmt.Sprintf("U%d", job%9) }

// flight is where the runs were when the server was killed. Those between two
// calls may also wait for their turn: of runs that were cut off twice few go on
// at a time.
type flight struct {
	inCall   int // Slack was doing what they asked for, or answering
	between  int // Slack had answered, and the next call was to come
	parking  int // Slack had just answered, and then the run waits, or ends
	answered int // somebody had clicked, and the first call was to come
	asleep   int // in a sleep
	waiting  int // for an answer
}

// aMoment is how long after the answer of Slack a run is taken to be parking.
const aMoment = 20 * time.Millisecond

// flight looks where the runs are.
func (s *approvalSlack) flight() (f flight) {
	s.state.Lock()
	defer s.state.Unlock()
	for i := range s.jobs {
		switch j := &s.jobs[i]; {
		case j.open > 0:
			f.inCall++
		case j.step < 0:
		case j.step == 0 && j.acked:
			f.answered++
		case j.step == 1 || j.step == 3:
			f.between++
		case time.Since(j.at) < aMoment:
			f.parking++
		case j.step == 0:
			f.waiting++
		case j.step < lastStep:
			f.asleep++
		}
	}
	return f
}

// underWay is how many of the runs were doing something.
func (f *flight) underWay() int { return f.inCall + f.between + f.parking + f.answered }

// add sums up what is counted.
func (f *flight) add(g flight) {
	f.inCall += g.inCall
	f.between += g.between
	f.parking += g.parking
	f.answered += g.answered
	f.asleep += g.asleep
	f.waiting += g.waiting
}

// crowd sends what people do, and sends it again, the same event, until the
// server has taken it: it may be down, or be killed before it answers.
type crowd struct {
	slack  *approvalSlack
	client *http.Client
	at     atomic.Pointer[string] // where the server listens
	work   sync.WaitGroup
	// missed is how often no answer came, repeats how many events were sent
	// again though there was one, late how many clicked another choice too late.
	missed, repeats, late atomic.Int64
}

func newCrowd(s *approvalSlack) *crowd {
	return &crowd{slack: s, client: &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 64}}}
}

// deliver sends an event until it is taken, or over is closed.
func (c *crowd) deliver(over <-chan struct{}, path, contentType string, body []byte) {
	for {
		if status, _ := send(c.client, *c.at.Load(), path, contentType, body); status == http.StatusOK {
			return
		}
		c.missed.Add(1)
		select {
		case <-over:
			return
		case <-time.After(time.Duration(20+rand.IntN(60)) * time.Millisecond):
		}
	}
}

// ask has a job begin.
func (c *crowd) ask(over <-chan struct{}, job int) {
	body := fmt.Appendf(nil, `{"type":"event_callback","team_id":"T0TEST","api_app_id":"A0TEST","event_id":%q,"event_time":1,"event":{"type":"message","channel":"C%d","user":"U1","text":"job %d","ts":"1700000000.%06d","event_ts":"1700000000.%06d","channel_type":"channel"},"authorizations":[{"team_id":"T0TEST","user_id":"U0BOT","is_bot":true}]}`,
		approvalEvent(job), job%29, job, job, job)
	c.deliver(over, "/slack/events", "application/json", body)
}

func approvalEvent(job int) string { return fmt.Sprintf("EvAPPROVAL%d", job) }

// click answers a question: often twice, and sometimes somebody else comes too
// late with another choice.
func (c *crowd) click(over <-chan struct{}, job int) {
	const path, contentType = "/slack/interactive", "application/x-www-form-urlencoded"
	j := c.slack.job(job)
	body := clickOn(&j, job, job%2, userOf(job))
	c.deliver(over, path, contentType, body)
	c.slack.change(job, func(j *approvalJob) { j.acked = true })
	if rand.IntN(3) == 0 { // as Slack does if the answer got lost on its way
		c.repeats.Add(1)
		c.deliver(over, path, contentType, body)
	}
	if rand.IntN(4) == 0 && c.answered(over, job) {
		c.late.Add(1)
		c.deliver(over, path, contentType, clickOn(&j, job, 1-job%2, "ULATE"))
	}
}

// answered waits until the answer to a question shows, or over is closed.
func (c *crowd) answered(over <-chan struct{}, job int) bool {
	for c.slack.job(job).step < 1 {
		select {
		case <-over:
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

func clickOn(j *approvalJob, job, choice int, user string) []byte {
	payload := fmt.Sprintf(`{"type":"block_actions","trigger_id":"tr.%d.%s","team":{"id":"T0TEST"},"user":{"id":%q,"team_id":"T0TEST"},"api_app_id":"A0TEST","channel":{"id":%q},"container":{"type":"message","message_ts":%q,"channel_id":%q},"message":{"ts":%q,"text":"go?"},"actions":[{"type":"button","action_id":"%s%d","block_id":"b","value":"%d","action_ts":"1"}]}`,
		job, user, user, j.channel, j.ts, j.channel, j.ts, j.button, choice, choice)
	return []byte("payload=" + url.QueryEscape(payload))
}
