package wait_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declaretest"
	"github.com/starling-rules/starling/stdlib/wait"
)

func set(t *testing.T) *declaretest.Set { return declaretest.New(t, wait.Builtins()) }

type named = declaretest.Named

func modal() *runtime.Dict {
	return runtime.NewDict("type", "modal", "title", runtime.NewDict("type", "plain_text", "text", "Hi"), "blocks", runtime.List{runtime.NewDict("type", "divider")})
}

// calls are arguments of each built-in that nothing is wrong with.
var calls = map[string][]any{
	"ask": {"Ready?", runtime.List{"Yes", "No"}}, "ask_form": {modal()}, "wait_event": {"message"}, "wait_reply": {}, "wait_reaction": {}, "sleep": {"1s"},
}

func TestThePassEndsWhereTheRunWaits(t *testing.T) {
	t.Parallel()
	for name, args := range calls {
		if _, err := set(t).Call(name, args...); !errors.Is(err, declaretest.ErrSuspended) {
			t.Errorf("%s goes on: %v", name, err)
		}
	}
	for name, args := range map[string][]any{"after": {"1s", runtime.Func{Name: "f"}}, "cancel": {"x"}} {
		if v, err := set(t).Call(name, args...); err != nil || v != (runtime.Pending{Step: 1}) {
			t.Errorf("%s: %v %v", name, v, err)
		}
	}
}

func TestWhatCouldNotBeWaitedForIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, args := range calls {
		s := set(t)
		s.Results = []runtime.Value{runtime.NewDict("ok", false, "error", "interrupted")}
		if v, err := s.Call(name, args...); err == nil || !strings.Contains(err.Error(), name+": interrupted") {
			t.Errorf("%s gives %v, %v", name, v, err)
		}
		s = set(t)
		s.Results = []runtime.Value{nil}
		if v, err := s.Call(name, args...); err != nil || v != nil {
			t.Errorf("%s after a time-out: %v, %v", name, v, err)
		}
	}
}

func TestQuestionsThatSlackWouldRefuse(t *testing.T) {
	t.Parallel()
	s := set(t)
	yes := runtime.List{"Yes"}
	long := strings.Repeat("x", 76)
	s.Fails("ask: text: is empty", "ask", " ", yes)
	s.Fails("text: has 3001 characters", "ask", strings.Repeat("x", 3001), yes)
	s.Fails("choices: is empty", "ask", "?", runtime.List{})
	s.Fails("choices: has 101 entries", "ask", "?", make(runtime.List, 101))
	s.Fails("choices[0]: has 76 characters", "ask", "?", runtime.List{long})
	s.Fails("choices[1]: \"Yes\" stands in choices[0]", "ask", "?", runtime.List{"Yes", runtime.NewDict("text", "Yes")})
	s.Fails("choices[0]: is a int", "ask", "?", runtime.List{int64(1)})
	s.Fails("choices[0].text: is missing", "ask", "?", runtime.List{runtime.NewDict("value", "x")})
	s.Fails("choices[0].style: is red", "ask", "?", runtime.List{runtime.NewDict("text", "x", "style", "red")})
	s.Fails("choices[5].style: is for buttons", "ask", "?", runtime.List{"a", "b", "c", "d", "e", runtime.NewDict("text", "f", "style", "danger")})
	s.Fails("choices[0].value: has a function in it", "ask", "?", runtime.List{runtime.NewDict("text", "x", "value", runtime.Func{})})
	s.Fails("who: is empty", "ask", "?", yes, named{"who", runtime.List{}})
	s.Fails("who[0]: \"@\" names nobody", "ask", "?", yes, named{"who", "@"})
	s.Fails("who[1]: is a int", "ask", "?", yes, named{"who", runtime.List{"U1", int64(2)}})
	s.Fails("timeout: is \"0s\"", "ask", "?", yes, named{"timeout", "0s"})
	s.Fails("timeout: is \"400d\", want 1s to 366 days", "ask", "?", yes, named{"timeout", "400d"})
	s.Fails("quorum: is 0", "ask", "?", yes, named{"quorum", int64(0)})
	s.Fails("quorum: is 3, and who names 2", "ask", "?", yes, named{"who", runtime.List{"U1", "U2"}, "quorum", int64(3)})
	s.Fails("to: \"#\" is no place", "ask", "?", yes, named{"to", "#"})
	s.Fails("to: has no channel", "ask", "?", yes, named{"to", runtime.NewDict("ts", "1.2")})
	s.Fails("blocks[0]", "ask", "?", yes, named{"blocks", runtime.List{runtime.NewDict("type", "header")}})
	s.Fails("view: title: is missing", "ask_form", runtime.NewDict("type", "modal"))
	s.Fails("button: has 76 characters", "ask_form", modal(), named{"button", long})
}

func TestQuestionsAreAskedAsTheyAreMeant(t *testing.T) {
	t.Parallel()
	effect := func(name string, args ...any) string {
		s := set(t)
		_, _ = s.Call(name, args...)
		if len(s.Asked) != 1 {
			t.Fatalf("%s: %d effects", name, len(s.Asked))
		}
		return s.Asked[0].Kind + " " + declaretest.Text(t, s.Asked[0].Args)
	}
	posted := runtime.NewDict("ok", true, "channel", "C1", "ts", "2.2", "message", runtime.NewDict("thread_ts", "1.1"))
	for want, got := range map[string]string{
		`ask {"text":"?","choices":["Yes"],"to":{"channel":"C1","ts":"1.1"},"who":["U1"],"timeout":120.0}`: effect("ask", "?", runtime.List{"Yes"}, named{"to", posted, "who", "U1", "timeout", "2m"}),
		`ask {"text":"?","choices":["Yes"],"who":["U1","@oncall"],"quorum":3}`:                             effect("ask", "?", runtime.List{"Yes"}, named{"who", runtime.List{"U1", "@oncall"}, "quorum", int64(3)}),
		`wait_reply {"thread":{"channel":"C1","ts":"1.1"}}`:                                                effect("wait_reply", posted),
		`wait_reaction {"message":{"channel":"C1","ts":"2.2"}}`:                                            effect("wait_reaction", posted),
		`wait_reaction {"message":{"ts":"2.2"},"removed":true}`:                                            effect("wait_reaction", "2.2", named{"removed", true}),
		`sleep {"duration":1.5}`: effect("sleep", 1.5),
	} {
		if got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	}
}

func TestWhatCannotHappenLater(t *testing.T) {
	t.Parallel()
	s := set(t)
	f := runtime.Func{Name: "f", Arity: 2, Required: 2}
	s.Fails("delay: is -1 seconds", "after", int64(-1), f)
	s.Fails("f takes 3 arguments", "after", "1h", runtime.Func{Name: "f", Arity: 3, Required: 3})
	s.Fails("f takes no arguments, so data is for nobody", "after", "1h", runtime.Func{Name: "f"}, "data")
	s.Fails("data: has a function in it", "after", "1h", f, runtime.List{f})
	s.Fails("data: more than 64 KB", "after", "1h", f, strings.Repeat("x", 64<<10))
	s.Fails("match.text: has 0 values", "wait_event", "message", runtime.NewDict("text", runtime.List{}))
	s.Fails("match.user: is a int", "wait_event", "message", runtime.NewDict("user", int64(1)))
	s.Fails("match.usr: is no field that can be waited for", "wait_event", "message", runtime.NewDict("usr", "U1"))
	s.Fails("id: has 256 bytes", "cancel", strings.Repeat("x", 256))
}

func TestAFormIsSentBackUntilItIsGood(t *testing.T) {
	t.Parallel()
	s := set(t)
	answer := func(why string) runtime.Value {
		return runtime.JSON(`{"values":{"why":"` + why + `"},"user":"U1","channel":"C1","ts":"1.1","until":5.5}`)
	}
	s.Results = []runtime.Value{answer("no"), answer("because")}
	asked := 0
	check := runtime.Callable(func(args ...runtime.Value) (runtime.Value, error) {
		asked++
		d, _ := args[0].(*runtime.Dict)
		if d.Text("why") == "no" {
			return runtime.NewDict("response_action", "errors", "errors", runtime.NewDict("why", "Say more.")), nil
		}
		return nil, nil
	})
	if got := s.JSON("ask_form", modal(), named{"check", check}); got != `{"values":{"why":"because"},"user":"U1","channel":"C1","ts":"1.1"}` {
		t.Error(got)
	}
	if asked != 2 || len(s.Asked) != 2 {
		t.Fatalf("checked %d times, %d effects", asked, len(s.Asked))
	}
	again, _ := s.Asked[1].Args.Get("again")
	if got := declaretest.Text(t, again); got != `{"channel":"C1","ts":"1.1","user":"U1","errors":{"why":"Say more."},"values":{"why":"no"},"until":5.5}` {
		t.Error(got)
	}
	for want, f := range map[string]runtime.Callable{
		"check returned a string":     func(...runtime.Value) (runtime.Value, error) { return "bad", nil },
		"check returned a int for x":  func(...runtime.Value) (runtime.Value, error) { return runtime.NewDict("x", int64(1)), nil },
		"not possible in the check":   func(...runtime.Value) (runtime.Value, error) { return s.X.Do("post", nil) },
		"exclude each other":          nil,
		"it went wrong in the script": func(...runtime.Value) (runtime.Value, error) { return nil, errors.New("it went wrong in the script") },
	} {
		s := s
		s.Asked, s.Results = nil, []runtime.Value{answer("no")}
		args := named{"check", f}
		if f == nil {
			args = named{"check", check, "quorum", int64(2)}
		}
		if _, err := s.Call("ask_form", modal(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	// What an operator gives is not checked.
	s.Asked, s.Results = nil, []runtime.Value{runtime.JSON(`{"values":{"why":"no"},"operator":"ann"}`)}
	if got := s.JSON("ask_form", modal(), named{"check", check}); got != `{"values":{"why":"no"},"operator":"ann"}` {
		t.Error(got)
	}
}
