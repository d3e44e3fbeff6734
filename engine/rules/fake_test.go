package rules_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// fake is a language of one registration a line:
//
//	on.message {"regex": "deploy", "channels": ["#ops"]}
//	load lib/x.fake
//	bad what is wrong
//
// The handler of a line is a function of the number of the line. "fn": "name"
// names it, "when": "name" adds a predicate, "regexp": true makes the pattern
// a compiled one.
type fake struct{}

func (fake) Name() string { return "fake" }
func (fake) Ext() string  { return ".fake" }

func (fake) Load(_ context.Context, b *runtime.Bundle, _ runtime.Limits) (runtime.Module, *runtime.Manifest, error) {
	man := &runtime.Manifest{Digest: b.Digest}
	var errs runtime.Errors
	var read func(path string)
	seen := map[string]bool{}
	read = func(path string) {
		if seen[path] {
			return
		}
		seen[path] = true
		for i, line := range strings.Split(string(b.Files[path]), "\n") {
			pos := runtime.Position{Path: path, Line: i + 1, Col: 1}
			word, rest, _ := strings.Cut(line, " ")
			switch {
			case line == "" || word == "#" || word == "end":
			case word == "load":
				if _, ok := b.Files[rest]; ok {
					read(rest)
				} else {
					man.Missing = append(man.Missing, runtime.Missing{Name: rest, Path: rest, Pos: pos})
				}
			case strings.HasPrefix(word, "on."):
				reg, err := registration(word, rest, pos, len(word)+1)
				if err != nil {
					errs = append(errs, &runtime.Error{Kind: runtime.SyntaxError, Msg: err.Error(), Pos: pos, Line: line})
					continue
				}
				man.Registrations = append(man.Registrations, reg)
			default:
				errs = append(errs, &runtime.Error{Kind: runtime.SyntaxError, Msg: "bad line", Pos: pos, Line: line})
			}
		}
	}
	read(b.Main)
	if len(errs) > 0 {
		return nil, nil, errs
	}
	return module{}, man, nil
}

func registration(name, text string, pos runtime.Position, offset int) (runtime.Registration, error) {
	reg := runtime.Registration{Name: name, Pos: pos, ArgPos: map[string]runtime.Position{}}
	if text == "" {
		text = "{}"
	}
	v, err := runtime.ParseJSON([]byte(text))
	if err != nil {
		return reg, err
	}
	args, fn := v.(*runtime.Dict), "lambda"
	if n := args.Text("fn"); n != "" {
		fn = n
	}
	for i := range args.Fields {
		f := &args.Fields[i]
		col := offset + strings.Index(text, `"`+f.Key+`":`) + len(f.Key) + 3
		reg.ArgPos[f.Key] = runtime.Position{Path: pos.Path, Line: pos.Line, Col: col + 1}
		if f.Key == "when" {
			f.Value = runtime.Func{Index: 1000 + pos.Line, Name: f.Value.(string), Arity: 1}
		}
		if d, ok := f.Value.(*runtime.Dict); ok && d.Text("re") != "" {
			f.Value = runtime.Regexp{Pattern: d.Text("re")}
		}
		if d, ok := f.Value.(*runtime.Dict); ok && d.Text("secret") != "" {
			f.Value = runtime.Secret{Parts: []runtime.SecretPart{{Name: d.Text("secret")}}}
		}
	}
	if fn != "none" {
		args.Set("fn", runtime.Func{Index: pos.Line, Name: fn, Arity: 1})
	} else {
		args.Delete("fn")
	}
	reg.Args = args
	return reg, nil
}

type module struct{}

func (module) Run(context.Context, *runtime.Call) *runtime.Reply {
	return &runtime.Reply{Status: runtime.Done}
}

// names knows #ops, @ann and the team acme.
type names struct{}

func (names) ChannelName(_, id string) string {
	return map[string]string{"COPS": "ops", "CTEAM": "team-blue"}[id]
}

func (names) UserName(_, id string) (string, string) {
	if id == "UANN" {
		return "ann", "ann@example.com"
	}
	return "", ""
}

func (names) TeamID(name string) (string, bool) { return "TACME", name == "acme" }

func newPool(t testing.TB) runtime.Pool {
	p := runtime.NewLocal([]runtime.Language{fake{}}, runtime.LocalOptions{})
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

// newLoader makes a loader over dirs with the fake language.
func newLoader(t testing.TB, dirs ...string) *rules.Loader {
	return rules.NewLoader(rules.LoaderOptions{
		Dirs: dirs, Pool: newPool(t), Languages: map[string]string{".fake": "fake"}, Names: names{},
		Library: fstest.MapFS{"omni/cb.fake": {Data: []byte("on.message {\"regex\": \"from the library\"}\n")}},
		Config:  map[string]runtime.Value{"deploys": runtime.NewDict("channel", "#ops")},
	})
}

func load(t testing.TB, l *rules.Loader) (*rules.Set, *rules.Report) {
	t.Helper()
	set, report, err := l.Load(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return set, report
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// set loads one script of these lines, which must be good.
func set(t testing.TB, lines ...string) *rules.Set {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, "a.fake", strings.Join(lines, "\n"))
	s, report := load(t, newLoader(t, dir))
	if report.Errors > 0 {
		t.Fatal(report.Files[0].Errors.Detail())
	}
	return s
}

// on writes a line of a script.
func on(kind string, pairs ...any) string {
	m := map[string]any{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		panic(err)
	}
	return "on." + kind + " " + string(b)
}

// message is what somebody writes in a channel.
func message(text string, change ...func(*event.Event)) *event.Event {
	e := &event.Event{
		ID: "Ev1", Kind: event.Message, Type: "message", Team: "TACME", App: "A1", BotUser: "UBOT", Bot: "helper",
		User: "U1", Channel: "C1", TS: "1.1", Text: text,
	}
	for _, f := range change {
		f(e)
	}
	return e
}

// fired lists the labels of the rules that match.
func fired(s *rules.Set, e *event.Event) string {
	var out []string
	for _, m := range s.Match(e, nil) {
		out = append(out, strings.TrimPrefix(m.Rule.ID, m.Rule.Script+":"))
	}
	return strings.Join(out, " ")
}
