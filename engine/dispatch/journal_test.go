package dispatch

import (
	"reflect"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// journal is what two runs leave, one of them failed and told to a third.
func journal() []queue.Entry {
	at := time.Unix(1_700_000_000, 5)
	ef := runtime.Effect{Step: 1, Kind: "post", Args: runtime.NewDict("text", "hi"), Pos: runtime.Position{Path: "a.star", Line: 2, Col: 3}}
	last := ef
	last.Step = 0
	one := openRun{
		ID: "r1", Rule: "a.star:go", Script: "a.star", Digest: runtime.Digest{1, 2}, Func: 3, When: -1, Hosts: []string{"ci.example"},
		Answer: true, DryRun: true, Limit: time.Minute, ErrorOf: -1, After: -1,
		Match: &event.Match{Groups: []string{"x", ""}, Names: []string{"", "n"}, Present: []bool{true, false}, Args: runtime.NewDict("a", int64(1))},
	}
	two := openRun{ID: "r2", Rule: "b", Script: "b.star", Func: 1, When: 4, ErrorOf: -1, After: 0}
	told := openRun{ID: "r3", Rule: "c", Script: "c.star", ErrorOf: 0, After: -1, When: -1}
	fail := &runtime.Error{
		Kind: runtime.LimitError, Msg: "m", Hint: "h", Limit: "steps", Status: 400, Pos: runtime.Position{Path: "a.star", Line: 9, Col: 1}, Line: "text",
		Stack: []runtime.Frame{{Name: "go", Pos: runtime.Position{Path: "a.star", Line: 9, Col: 1}}},
	}
	return []queue.Entry{
		{Type: entryAttempt},
		appendOpen([]openRun{one, two}),
		intentEntry(0, ef, ef.Hash(), at),
		resultEntry(0, ef, ef.Hash(), false, at, runtime.NewDict("ok", true), ""),
		resultEntry(1, ef, ef.Hash(), true, at, nil, "refused"),
		appendOpen([]openRun{told}),
		endEntry(0, ended{Outcome: Failed, Error: fail, Steps: 7, Passes: 2, Took: time.Second, Script: time.Millisecond, At: at}),
		intentEntry(2, last, last.Hash(), at),
		{Type: entryAttempt},
		{Type: entryAttempt},
		{Type: entryRelease},
	}
}

func TestTheJournalTellsWhatWasWritten(t *testing.T) {
	t.Parallel()
	entries := journal()
	rec, err := decodeRecord(entries)
	if err != nil {
		t.Fatal(err)
	}
	if rec.Attempts != 1 || len(rec.Runs) != 3 {
		t.Errorf("got %d attempts and %d runs, want 1 and 3", rec.Attempts, len(rec.Runs))
	}
	if r := rec.Runs[0]; r.Func != 3 || !r.Answer || !r.DryRun || r.Limit != time.Minute || r.Match.Groups[0] != "x" || r.Hosts[0] != "ci.example" || rec.Runs[1].After != 0 {
		t.Errorf("got %+v", rec.Runs)
	}
	if s := rec.Steps[0][0]; !s.Done || s.Kind != "post" || s.Args.Text("text") != "hi" || s.Pos.Line != 2 || s.Err != "" {
		t.Errorf("got %+v", s)
	}
	if s := rec.Steps[1][0]; !s.Done || s.Err != "refused" || s.Kind != "post" {
		t.Errorf("got %+v", s)
	}
	if s := rec.Last[2]; s == nil || s.Done || s.Kind != "post" || len(rec.Steps[2]) != 0 {
		t.Errorf("got %+v", s)
	}
	end := rec.Ends[0]
	if end.Outcome != Failed || end.Steps != 7 || end.Passes != 2 || end.Took != time.Second || end.Script != time.Millisecond || end.Error.Status != 400 || end.Error.Stack[0].Pos.Line != 9 {
		t.Errorf("got %+v, %+v", end, end.Error)
	}
	// A store that refused something is given it again: what is there twice counts once.
	twice, err := decodeRecord(append(append([]queue.Entry{}, entries[1:8]...), entries[1:8]...))
	once, _ := decodeRecord(entries[1:8])
	if err != nil || !reflect.DeepEqual(once, twice) {
		t.Errorf("twice: got %+v, %v, want %+v", twice, err, once)
	}
}

func TestADamagedJournalIsNoticed(t *testing.T) {
	t.Parallel()
	ef := runtime.Effect{Step: 1, Kind: "post", Args: &runtime.Dict{}}
	third := ef
	third.Step = 3
	second := ef
	second.Step = 2
	at := time.Unix(0, 0)
	open := appendOpen([]openRun{{ID: "r1"}})
	for name, entries := range map[string][]queue.Entry{
		"no first record":    {intentEntry(0, ef, 1, at)},
		"another run":        {open, intentEntry(1, ef, 1, at)},
		"a hole":             {open, resultEntry(0, ef, 1, true, at, nil, ""), intentEntry(0, third, 1, at)},
		"two in flight":      {open, intentEntry(0, ef, 1, at), intentEntry(0, second, 1, at)},
		"an unknown entry":   {open, {Type: 99, Body: []byte{0}}},
		"a cut first record": {{Type: entryOpen, Body: open.Body[:len(open.Body)-1]}},
		"a cut result":       {open, {Type: entryResult, Body: []byte{0, 1, 2}}},
	} {
		if rec, err := decodeRecord(entries); err == nil || rec == nil {
			t.Errorf("%s: got %+v, %v", name, rec, err)
		}
	}
}

func FuzzJournal(f *testing.F) {
	for _, e := range journal() {
		f.Add(e.Type, e.Body)
	}
	f.Fuzz(func(t *testing.T, typ byte, body []byte) {
		for _, entries := range [][]queue.Entry{
			{{Type: typ, Body: body}},
			append(journal(), queue.Entry{Type: typ, Body: body}, queue.Entry{Type: typ, Body: body}),
		} {
			rec, err := decodeRecord(entries)
			if rec == nil {
				t.Fatal("no record")
			}
			for i, steps := range rec.Steps {
				if i < 0 || i >= len(rec.Runs) || len(steps) > len(entries) {
					t.Fatalf("run %d of %d with %d steps", i, len(rec.Runs), len(steps))
				}
			}
			rep, _ := Report(queue.EventInfo{ID: "1", Entries: entries})
			if (err != nil) != (rep.Reason != "") {
				t.Fatalf("report says %q, decoding %v", rep.Reason, err)
			}
			if err != nil || typ != entryOpen {
				continue
			}
			// What was read can be written and read again.
			again, err := decodeOpen(appendOpen(rec.Runs).Body)
			if err != nil || len(again) != len(rec.Runs) {
				t.Fatalf("got %+v, %v", again, err)
			}
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(encodeAnswer(&event.Answer{Status: 201, ContentType: "text/plain", Body: []byte("x"), Headers: []event.Header{{Name: "A", Value: "b"}}}))
	f.Add(encodeAnswer(&event.Answer{}))
	f.Add([]byte{})
	f.Add(runtime.Encode(nil, runtime.List{"a", nil, int64(1), runtime.List{nil, 1.5, true}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := decodeAnswer(b)
		if err != nil {
			return
		}
		again, err := decodeAnswer(encodeAnswer(a))
		if err != nil {
			t.Fatal(err)
		}
		if a != nil && (again.Status != a.Status || again.ContentType != a.ContentType || string(again.Body) != string(a.Body) || !reflect.DeepEqual(a.Headers, again.Headers)) {
			t.Fatalf("got %+v, want %+v", again, a)
		}
	})
}
