package scripttest

import (
	"fmt"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/runtime"
)

// expect is t.expect: what is said about a run.
func expect(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	v, _ := a.Get("run")
	r, ok := v.(*run)
	if !ok {
		return nil, &runtime.Error{
			Kind: runtime.RunError, Msg: "t.expect: parameter \"run\": got " + runtime.TypeName(v) + ", want a run",
			Hint: "run = t.message(\"…\"), then t.expect(run).replied(\"…\")",
		}
	}
	return &object{name: "t.expect", w: w, methods: w.s.r.methods["t.expect"], run: r}, nil
}

// expectation is one method of t.expect(run): nil, or what is wrong.
type expectation func(r *run, a *runtime.Args) *Failure

// expecting makes the function of such a method. It returns the object itself,
// so that more can be said.
func expecting(f expectation) func(*runtime.Context, *runtime.Args) (runtime.Value, error) {
	return func(_ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
		o := a.Self.(*object)
		if fail := f(o.run, a); fail != nil {
			fail.about(o.run)
			return nil, o.w.raise(fail)
		}
		return o, nil
	}
}

func failf(format string, args ...any) *Failure {
	f := &Failure{}
	f.Error.Kind, f.Error.Msg = runtime.RunError, fmt.Sprintf(format, args...)
	return f
}

// differing is a failure with a diff.
func differing(want, got runtime.Value, format string, args ...any) *Failure {
	f := failf(format, args...)
	f.Diff = differ(want, got)
	return f
}

// wanted gathers the arguments that a call is to have.
func wanted(a *runtime.Args, named ...string) *runtime.Dict {
	d := &runtime.Dict{}
	for _, n := range named {
		if v, ok := a.Get(n); ok {
			d.Set(n, plain(v))
		}
	}
	if rest := a.Map("more"); rest != nil {
		for _, f := range rest.Fields {
			d.Set(f.Key, plain(f.Value))
		}
	}
	return d
}

// sent compares a call with what is wanted; channels and users may be named.
func (r *run) sent(want *runtime.Dict, c *call) bool {
	got := c.dict()
	for _, f := range want.Fields {
		v := value(got, f.Key)
		if f.Key == "name" && v == nil {
			v = value(got, "emoji")
		}
		if !matches(f.Value, v) && !r.sameName(f.Key, f.Value, v) {
			return false
		}
	}
	return true
}

func (r *run) sameName(key string, want, got runtime.Value) bool {
	a, ok1 := want.(string)
	b, ok2 := got.(string)
	if !ok1 || !ok2 {
		return false
	}
	names := r.w.s.r.names
	switch key {
	case "channel":
		return names.channel(a) == names.channel(b)
	case "user", "user_id", "users":
		return names.user(a) == names.user(b)
	}
	return false
}

func (r *run) count(want *runtime.Dict, calls []*call) int {
	n := 0
	for _, c := range calls {
		if r.sent(want, c) {
			n++
		}
	}
	return n
}

// among says whether one of the calls is what is wanted, as often as times says.
func (r *run) among(a *runtime.Args, what string, want *runtime.Dict, calls []*call) *Failure {
	n := r.count(want, calls)
	if times := a.Int("times", -1); times >= 0 {
		if int64(n) == times {
			return nil
		}
		return failf("expected a %s%s %s, it was %s", what, describeWant(want), often(times), often(int64(n)))
	}
	if n > 0 {
		return nil
	}
	if len(calls) == 0 {
		return failf("expected a %s%s, there was none", what, describeWant(want))
	}
	best := slices.MaxFunc(calls, func(x, y *call) int { return near(want, x.dict()) - near(want, y.dict()) })
	var got runtime.Value = like(want, best.dict())
	var wants runtime.Value = want
	if want.Len() == 1 { // the value alone is easier to read
		if g, ok := got.(*runtime.Dict); ok && g.Len() == 1 {
			wants, got = want.Fields[0].Value, g.Fields[0].Value
		}
	}
	which := ""
	if len(calls) > 1 {
		which = fmt.Sprintf("; of %d, this comes nearest", len(calls))
	}
	return differing(wants, got, "no %s is as expected%s", what, which)
}

func often(n int64) string {
	switch n {
	case 0:
		return "never"
	case 1:
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

func describeWant(want *runtime.Dict) string {
	if want.Len() == 0 {
		return ""
	}
	var b strings.Builder
	for i, f := range want.Fields {
		if i > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%s = %s", f.Key, clip(strings.TrimSpace(render(f.Value))))
	}
	return " with " + b.String()
}

// clip shortens what is shown on a line.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= 200 {
		return s
	}
	return strings.ToValidUTF8(s[:200], "") + "…"
}

func replied(r *run, a *runtime.Args) *Failure {
	return r.among(a, "reply", wanted(a, "text"), r.replies())
}

func called(r *run, a *runtime.Args) *Failure {
	method := a.Text("method")
	var calls []*call
	for _, c := range r.calls() {
		if glob(method, c.method) {
			calls = append(calls, c)
		}
	}
	return r.among(a, "call of "+method, wanted(a), calls)
}

func reacted(r *run, a *runtime.Args) *Failure {
	var calls []*call
	for _, c := range r.calls() {
		if c.method == "reactions.add" {
			calls = append(calls, c)
		}
	}
	want := wanted(a)
	if s := strings.Trim(a.Text("emoji"), ":"); s != "" {
		want.Set("name", s)
	}
	return r.among(a, "reaction", want, calls)
}

// opened: a modal that was opened or pushed, by call or as the answer.
func opened(r *run, a *runtime.Args) *Failure {
	var views []*call
	for _, c := range r.calls() {
		if c.method == "views.open" || c.method == "views.push" {
			if v, ok := plain(value(c.args, "view")).(*runtime.Dict); ok {
				views = append(views, &call{method: c.method, args: flat(v)})
			}
		}
	}
	if d := r.answerDict(); d.Text("response_action") == "push" || d.Text("response_action") == "update" {
		if v, ok := value(d, "view").(*runtime.Dict); ok {
			views = append(views, &call{method: "answer", args: flat(v)})
		}
	}
	return r.among(a, "view", wanted(a, "callback_id", "title"), views)
}

// flat gives the title of a view as a text.
func flat(view *runtime.Dict) *runtime.Dict {
	d := view.Clone()
	if t, ok := value(d, "title").(*runtime.Dict); ok {
		d.Set("title", t.Text("text"))
	}
	return d
}

func (r *run) answerDict() *runtime.Dict {
	if r.answer == nil {
		return nil
	}
	v, _ := runtime.ParseJSON(r.answer.Body)
	d, _ := v.(*runtime.Dict)
	return d
}

// answered: what the sender of the event was told.
func answered(r *run, a *runtime.Args) *Failure {
	got, _ := plain(r.answered()).(*runtime.Dict)
	if v, ok := a.Get("value"); ok {
		if f := r.answeredWith(plain(v), got); f != nil {
			return f
		}
	}
	want := &runtime.Dict{}
	for _, n := range []string{"status", "text", "json", "headers"} {
		if v, ok := a.Get(n); ok {
			want.Set(n, plain(v))
		}
	}
	if a.Has("errors") {
		v, _ := a.Get("errors")
		want.Set("json", runtime.NewDict("response_action", "errors", "errors", plain(v)))
	}
	if s := a.Text("action"); s != "" {
		want.Set("json", runtime.NewDict("response_action", s))
	}
	if got == nil {
		if want.Len() == 0 && !a.Has("value") && r.settledAnswer() {
			return nil
		}
		if n, ok := value(want, "status").(int64); ok && want.Len() == 1 && n == 200 && r.settledAnswer() {
			return nil
		}
		return differing(want, nil, "expected an answer, it was empty")
	}
	if !matches(want, got) {
		return differing(want, like(want, got), "the answer is not as expected")
	}
	return nil
}

// settledAnswer reports whether an empty answer was given in time.
func (r *run) settledAnswer() bool {
	return !r.late && len(r.events) > 0 && r.events[0].Answered()
}

// answeredWith compares the answer with a text, the values of options, or data.
func (r *run) answeredWith(want runtime.Value, got *runtime.Dict) *Failure {
	if got == nil {
		if want == nil && r.settledAnswer() {
			return nil
		}
		return differing(want, nil, "expected an answer, it was empty")
	}
	body := value(got, "json")
	options := len(r.events) > 0 && r.events[0].Kind == event.Options
	if d, ok := body.(*runtime.Dict); ok {
		if _, isText := want.(string); isText || isPattern(want) {
			body = d.Text("text")
		} else if l, ok := want.(runtime.List); ok && options {
			body = optionValues(value(d, "options"), l)
		}
	} else if _, isText := want.(string); isText || isPattern(want) {
		body = got.Text("text")
	}
	if matches(want, body) {
		return nil
	}
	return differing(want, like(want, body), "the answer is not as expected")
}

// optionValues are the values or the texts of options, whichever is asked for.
func optionValues(v runtime.Value, want runtime.List) runtime.Value {
	list, _ := v.(runtime.List)
	values, texts := runtime.List{}, runtime.List{}
	for _, o := range list {
		d, ok := o.(*runtime.Dict)
		if !ok {
			return v
		}
		values = append(values, value(d, "value"))
		t, _ := value(d, "text").(*runtime.Dict)
		texts = append(texts, t.Text("text"))
	}
	if len(want) > 0 {
		if _, ok := want[0].(*runtime.Dict); ok {
			return v
		}
		if matches(want, texts) {
			return texts
		}
	}
	return values
}

func done(r *run, _ *runtime.Args) *Failure {
	if got := r.outcome(); got != string(dispatch.Done) {
		return failf("expected the run to be done, it is %s", got)
	}
	return nil
}

func failed(r *run, a *runtime.Args) *Failure {
	r.excused = true
	var texts runtime.List
	for _, t := range r.ended() {
		if t.Outcome != dispatch.Failed {
			continue
		}
		r.w.from[t.ID].excused = true // where it began, if it had waited
		v, ok := a.Get("error")
		if !ok {
			return nil
		}
		want := plain(v)
		if s, is := want.(string); is && strings.Contains(t.Error, s) || !is && matches(want, t.Error) {
			return nil
		}
		texts = append(texts, t.Error)
	}
	if len(texts) == 0 {
		return failf("expected the run to fail, it is %s", r.outcome())
	}
	v, _ := a.Get("error")
	return differing(plain(v), texts[0], "the run failed, but not with the expected error")
}

func ignored(r *run, _ *runtime.Args) *Failure {
	if got := r.ended(); len(got) > 0 {
		return failf("expected no rule to run, %s did", got[0].Rule)
	}
	return nil
}

// noCalls: nothing was asked of anybody; look-ups do not count.
func noCalls(r *run, a *runtime.Args) *Failure {
	method := a.Text("method")
	var got runtime.List
	for _, c := range r.calls() {
		if method == "" && !c.read() || method != "" && glob(method, c.method) {
			got = append(got, c.dict())
		}
	}
	if method == "" {
		for _, q := range r.requests() {
			got = append(got, runtime.NewDict("method", q.method, "url", q.url))
		}
		if m := r.answerMessage(); m != nil {
			got = append(got, runtime.NewDict("answer", m))
		}
	}
	if len(got) == 0 {
		return nil
	}
	return differing(runtime.List{}, got, "expected no calls, there was %s", plural(len(got), "call"))
}
