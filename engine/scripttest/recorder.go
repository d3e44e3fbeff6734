package scripttest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/starling-rules/starling/engine/payload"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// responseURL is how calls of a response_url are called in calls, uploadCall
// how the content of a file is: its args are text and bytes.
const (
	responseURL = "response_url"
	uploadCall  = "upload"
	uploadURL   = "https://files.slack.com/upload/v1/"
)

// call is one request to Slack.
type call struct {
	method string
	args   *runtime.Dict // as sent
	event  string        // id of the event whose run asked
	run    string
	kind   string // of the effect that it is for
	at     runtime.Position
	during *run   // what the test was doing
	failed string // the error that it was answered with
}

// read reports whether the call changes nothing: a look-up, say.
func (c *call) read() bool { return slackapi.Known(c.method).Class == slackapi.Read }

// recorder is the far side of slackapi.Client: it writes down what comes, and
// answers as a Slack that lets the app do everything. Its state is guarded by
// the world's mu.
type recorder struct {
	w     *world
	calls []*call
	stubs []*slackStub
	// surfaces are the messages and views that the app has shown, the last one
	// last.
	surfaces []*surface
	hooks    map[string]*surface // by response_url: what it is about
	users    []string            // names that this Slack knows
	channels []string
	lastTS   int64
}

// slackStub is the answer to calls of a method.
type slackStub struct {
	method string // a glob
	answer *runtime.Dict
	failed string
	times  int // 0: any number
	used   int // in this world
	ever   int // in all cases of a table
	may    bool
	at     runtime.Position
}

func (r *recorder) begin() {
	r.calls, r.surfaces, r.hooks, r.lastTS = nil, nil, map[string]*surface{}, 0
	r.users, r.channels = append([]string(nil), people...), append([]string(nil), rooms...)
	for _, s := range r.stubs {
		s.used = 0
	}
}

// know makes a user or channel exist.
func (r *recorder) know(list *[]string, name string) {
	for _, n := range *list {
		if n == name {
			return
		}
	}
	*list = append(*list, name)
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	c := &call{method: responseURL, args: arguments(req.Header.Get("Content-Type"), body)}
	if strings.HasPrefix(req.URL.String(), uploadURL) {
		c.method, c.args = uploadCall, runtime.NewDict("file", strings.TrimPrefix(req.URL.String(), uploadURL), "text", strings.ToValidUTF8(string(body), "?"), "bytes", int64(len(body)))
	}
	if req.URL.Host == "slack.com" {
		c.method = strings.TrimPrefix(req.URL.Path, "/api/")
	}
	if a := askerOf(req.Context()); a != nil {
		c.event, c.run, c.kind, c.at = a.run.Event.ID, a.run.ID, a.effect.Kind, a.effect.Pos
	}
	answer, severed := r.receive(c, req.URL.String())
	if severed {
		return nil, hang(req)
	}
	text, err := json.Marshal(answer)
	if err != nil {
		return nil, err
	}
	return response(req, http.StatusOK, "application/json; charset=utf-8", text), nil
}

// receive writes a call down and answers it; severed tells that nobody is to
// hear the answer.
func (r *recorder) receive(c *call, link string) (answer payload.Object, severed bool) {
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	c.during = r.w.now
	r.calls = append(r.calls, c)
	answer = r.answer(c, link)
	if d, ok := answer["error"].(string); ok && answer["ok"] == false {
		c.failed = d
	}
	return answer, r.w.severs(c.method)
}

func response(req *http.Request, status int, contentType string, body []byte) *http.Response {
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)), Request: req,
	}
}

// arguments decodes a request as Slack does: JSON, or a form with JSON in it.
func arguments(contentType string, body []byte) *runtime.Dict {
	if strings.HasPrefix(contentType, "application/json") {
		v, _ := runtime.ParseJSON(body)
		d, _ := v.(*runtime.Dict)
		if d == nil {
			d = &runtime.Dict{}
		}
		return d
	}
	d := &runtime.Dict{}
	for _, pair := range strings.Split(string(body), "&") {
		key, value, _ := strings.Cut(pair, "=")
		key, err1 := url.QueryUnescape(key)
		text, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil || key == "" {
			continue
		}
		var v runtime.Value = text
		if len(text) > 0 && (text[0] == '{' || text[0] == '[') {
			if p, err := runtime.ParseJSON([]byte(text)); err == nil {
				v = p
			}
		}
		d.Set(key, v)
	}
	return d
}

// answer is what Slack says. Stubs come first.
func (r *recorder) answer(c *call, link string) payload.Object {
	for _, s := range r.stubs {
		if (s.times > 0 && s.used >= s.times) || !glob(s.method, c.method) {
			continue
		}
		s.used++
		s.ever++
		if s.failed != "" {
			out := payload.Object{"ok": false, "error": s.failed}
			merge(out, s.answer)
			return out
		}
		out := r.plausible(c, link)
		merge(out, s.answer)
		return out
	}
	return r.plausible(c, link)
}

func merge(out payload.Object, d *runtime.Dict) {
	if d == nil {
		return
	}
	for _, f := range d.Fields {
		out[f.Key] = toGo(f.Value)
	}
}

// toGo turns data into what encoding/json makes of it.
func toGo(v runtime.Value) any {
	switch v := runtime.Plain(v).(type) {
	case *runtime.Dict:
		out := make(payload.Object, v.Len())
		for i := range v.Len() {
			out[v.Fields[i].Key] = toGo(v.Fields[i].Value)
		}
		return out
	case runtime.List:
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = toGo(e)
		}
		return out
	case runtime.Secret:
		return v.String()
	default:
		return v
	}
}
