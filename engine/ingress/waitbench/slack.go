package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

const (
	secret  = "waitbench"
	team    = "T0BENCH01"
	channel = "C%08d" // of the n-th run: each has a channel of its own
)

// rule asks, and says what was answered.
const rule = `
def deploy(e):
    what = e.match["what"]
    answer = ask("Deploy *" + what + "* to *prod*?", ["yes", "no"], timeout = e.match["patience"])
    post(e.channel, what + ": " + (answer.choice if answer else "nobody"))

def hurry(e):
    deploy(e)

on.message("^deploy (?P<what>[\\w-]+) within (?P<patience>[\\w.]+)", deploy)
on.message("^hurry (?P<what>[\\w-]+) within (?P<patience>[\\w.]+)", hurry)
`

// event is the message that has the n-th run begin, by a rule: about 1.2 KB.
func event(n int, rule string, patience time.Duration) []byte {
	return fmt.Appendf(nil, `{"token":"x","team_id":%q,"api_app_id":"A0BENCH01","event":{"type":"message","channel":"`+channel+`","user":"U0BENCH01","text":"%s api-%d within %.3fs %s","ts":"1700000000.%06d","event_ts":"1700000000.%06d","channel_type":"channel","blocks":[{"type":"rich_text","block_id":"b","elements":[{"type":"rich_text_section","elements":[{"type":"text","text":"deploy api"}]}]}]},"type":"event_callback","event_id":"EvBENCH%d","event_time":1700000000,"authorizations":[{"enterprise_id":null,"team_id":%q,"user_id":"U0BOT","is_bot":true,"is_enterprise_install":false}],"is_ext_shared_channel":false,"event_context":"4-abc"}`,
		team, n, rule, n, patience.Truncate(time.Millisecond).Seconds(), filler, n%1000000, n%1000000, n, team)
}

var filler = strings.Repeat("lorem ipsum dolor sit amet ", 20)

// slack is the Slack of the measurement: it notes when each question was asked,
// and when its run called again.
type slack struct {
	mu    sync.Mutex
	runs  []question // by the number in the channel
	asked int        // how many questions there are
	room  chan struct{}
}

// question is what is known of a run. Guarded by slack.mu; next is closed when
// the run calls after its answer, at that time.
type question struct {
	at     time.Time // when it was asked
	ts     string
	button string
	went   time.Time // when the run went on; zero: it has not
	next   chan struct{}
}

// underWay bounds the runs that have begun and have not asked yet, so that the
// server is driven as fast as it goes and no faster.
const underWay = 256

func newSlack(runs int) *slack {
	return &slack{runs: make([]question, runs), room: make(chan struct{}, underWay)}
}

// serve takes calls of the Web API, at the address that it returns, until stop.
func (s *slack) serve() (addr string, stop func(), err error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	server := &fasthttp.Server{Handler: s.answer, NoDefaultServerHeader: true}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	return "http://" + ln.Addr().String() + "/api/", func() { _ = ln.Close(); <-done }, nil
}

func (s *slack) answer(ctx *fasthttp.RequestCtx) {
	now := time.Now()
	ctx.SetContentType("application/json")
	switch method := string(ctx.Path()); method {
	case "/api/auth.test":
		ctx.SetBodyString(`{"ok":true,"user_id":"U0BOT","bot_id":"B0BOT","team_id":"` + team + `","url":"https://bench.slack.com/"}`)
	case "/api/chat.postMessage", "/api/chat.update":
		n, button, err := read(ctx)
		if err != nil || n >= len(s.runs) {
			ctx.SetBodyString(`{"ok":false,"error":"channel_not_found"}`)
			return
		}
		ts := fmt.Sprintf("1700000001.%06d", n%1000000)
		s.called(n, button, ts, now)
		ctx.SetBodyString(fmt.Sprintf(`{"ok":true,"channel":"`+channel+`","ts":%q,"message":{"type":"message","ts":%q}}`, n, ts, ts))
	case "/api/conversations.history", "/api/conversations.replies":
		ctx.SetBodyString(`{"ok":true,"messages":[]}`)
	default:
		ctx.SetBodyString(`{"ok":true}`)
	}
}

var buttonForm = regexp.MustCompile(`starling\.ask:[0-9a-f]+\.[0-9]+/[0-9]+`)

// read is the number of the run that calls, and the first button of its message.
func read(ctx *fasthttp.RequestCtx) (n int, button string, err error) {
	body := ctx.PostBody()
	to := ""
	if strings.HasPrefix(string(ctx.Request.Header.ContentType()), "application/json") {
		v, err := fastjson.ParseBytes(body)
		if err != nil {
			return 0, "", err
		}
		to = string(v.GetStringBytes("channel"))
	} else {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return 0, "", err
		}
		to, body = form.Get("channel"), []byte(form.Get("blocks"))
	}
	number, ok := strings.CutPrefix(to, channel[:1])
	if !ok {
		return 0, "", errors.New("no channel")
	}
	n, err = strconv.Atoi(number)
	return n, string(buttonForm.Find(body)), err
}

// called notes a call of the n-th run: its question, or what follows.
func (s *slack) called(n int, button, ts string, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.runs[n]
	switch {
	case q.at.IsZero() && button != "":
		q.at, q.ts, q.button = now, ts, button
		s.asked++
		<-s.room
	case !q.at.IsZero() && q.went.IsZero():
		q.went = now
		if q.next != nil {
			close(q.next)
		}
	}
}

// questions is how many runs have asked.
func (s *slack) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// click is the press of the first button of the n-th run, and a channel that is
// closed when the run goes on.
func (s *slack) click(n int) (body []byte, next <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := &s.runs[n]
	q.next = make(chan struct{})
	payload := fmt.Sprintf(`{"type":"block_actions","trigger_id":"tr.%d","team":{"id":%q},"user":{"id":"U%d","team_id":%q},"api_app_id":"A0BENCH01","channel":{"id":"`+channel+`"},"container":{"type":"message","message_ts":%q,"channel_id":"`+channel+`"},"message":{"ts":%q,"text":%q},"actions":[{"type":"button","action_id":%q,"block_id":"b","value":"0","action_ts":"%d.1"}]}`,
		n, team, n%9, team, n, q.ts, n, q.ts, filler, q.button, n+1)
	return []byte("payload=" + url.QueryEscape(payload)), q.next
}

// went is when the n-th run went on; zero if it has not.
func (s *slack) went(n int) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.runs[n].went
}
