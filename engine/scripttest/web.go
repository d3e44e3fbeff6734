package scripttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// web is the far side of http_*: what is stubbed, and nothing else. Its state
// is guarded by the world's mu.
type web struct {
	w        *world
	stubs    []*httpStub
	requests []*request
	lost     []*request // those that nothing was stubbed for
}

// httpStub is the answer to requests.
type httpStub struct {
	method, glob string
	status       int
	body         []byte
	header       http.Header
	failed       string
	delay        time.Duration
	// used counts in this world, ever in all cases of a table.
	times, used, ever int
	may               bool
	at                runtime.Position
}

// request is one that a rule made.
type request struct {
	method, url string
	header      http.Header
	body        []byte
	event, run  string
	kind        string
	at          runtime.Position
	during      *run // what the test was doing
}

func (b *web) begin() {
	b.requests, b.lost = nil, nil
	for _, s := range b.stubs {
		s.used = 0
	}
}

// failures are what error= may say, and the error that the network would give.
var failures = map[string]error{
	"timeout":            context.DeadlineExceeded,
	"connection_refused": syscall.ECONNREFUSED,
	"connection_failed":  errors.New("connection is cut off"),
	"dns_error":          &net.DNSError{Err: "server misbehaving"},
	"dns_not_found":      &net.DNSError{Err: "no such host", IsNotFound: true},
}

// RoundTrip implements http.RoundTripper.
func (b *web) RoundTrip(req *http.Request) (*http.Response, error) {
	r := &request{method: req.Method, url: req.URL.String(), header: req.Header.Clone()}
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		r.body = body
	}
	if a := askerOf(req.Context()); a != nil {
		r.event, r.run, r.kind, r.at = a.run.Event.ID, a.run.ID, a.effect.Kind, a.effect.Pos
	}
	b.w.mu.Lock()
	r.during = b.w.now
	b.requests = append(b.requests, r)
	severed := b.w.severs(r.url)
	s := b.find(r)
	if s == nil {
		b.lost = append(b.lost, r)
		b.w.mu.Unlock()
		return nil, errors.New("nothing is stubbed for it")
	}
	s.used++
	s.ever++
	b.w.mu.Unlock()
	if severed {
		return nil, hang(req)
	}
	if s.delay > 0 {
		if end, ok := req.Context().Deadline(); ok {
			if limit := time.Until(end).Round(100 * time.Millisecond); s.delay > limit {
				b.w.clock.advance(limit) // whoever asked waits no longer
				return nil, context.DeadlineExceeded
			}
		}
		b.w.clock.advance(s.delay)
	}
	if s.failed != "" {
		return nil, failures[s.failed]
	}
	out := response(req, s.status, "", s.body)
	out.Header = s.header.Clone()
	return out, nil
}

// find returns the first stub for a request that is not used up.
func (b *web) find(r *request) *httpStub {
	plain, _, _ := strings.Cut(r.url, "?")
	for _, s := range b.stubs {
		if s.times > 0 && s.used >= s.times || s.method != "*" && s.method != r.method {
			continue
		}
		if glob(s.glob, r.url) || !strings.Contains(s.glob, "?") && glob(s.glob, plain) {
			return s
		}
	}
	return nil
}

// missing is the failure of a request that nothing was stubbed for.
func (b *web) missing() *Failure {
	b.w.mu.Lock()
	defer b.w.mu.Unlock()
	if len(b.lost) == 0 {
		return nil
	}
	r := b.lost[0]
	b.lost = nil
	plain, _, _ := strings.Cut(r.url, "?")
	f := &Failure{}
	f.Error = runtime.Error{
		Kind: runtime.RunError, Pos: r.at,
		Msg:  fmt.Sprintf("%s asked for %s %s, and nothing is stubbed for it", r.kind, r.method, r.url),
		Hint: fmt.Sprintf("t.http.stub(%q, %q, json = {…})", r.method, plain),
	}
	return f
}

// dict is a request as a test sees it.
func (r *request) dict() *runtime.Dict {
	d := runtime.NewDict("method", r.method, "url", r.url, "text", strings.ToValidUTF8(string(r.body), "\uFFFD"), "json", nil)
	if v, err := runtime.ParseJSON(r.body); err == nil && len(r.body) > 0 {
		d.Set("json", v)
	}
	if strings.HasPrefix(r.header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		d.Set("form", arguments("", r.body))
	}
	h := &runtime.Dict{}
	for name, values := range r.header {
		h.Set(strings.ToLower(name), strings.Join(values, ", "))
	}
	sortFields(h)
	d.Set("headers", h)
	return d
}
