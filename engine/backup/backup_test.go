package backup_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// disk opens a store on a disk.
func disk(t testing.TB) queue.Store {
	t.Helper()
	s, err := queue.Open(t.Context(), queue.Options{Dir: t.TempDir(), NoSync: true, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

func memory(t testing.TB) queue.Store {
	t.Helper()
	s := queue.NewMemory(queue.MemoryOptions{})
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s
}

// fill makes something of each kind, by the ways on which it comes about.
func fill(t testing.TB, s queue.Store) {
	t.Helper()
	live := door.NewLive(door.Deps{State: s.State()})
	step := 0
	do := func(script, kind string, args ...any) {
		t.Helper()
		step++
		e := &event.Event{Team: "T1", User: "U1", Channel: "C1", ThreadTS: "1.5", TS: "2.5"}
		_, err := live[kind].Do(t.Context(), &door.Run{ID: "r", Script: script, Event: e}, runtime.Effect{Kind: kind, Step: step, Args: runtime.NewDict(args...)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, v := range []runtime.Value{
		nil, true, int64(math.MaxInt64), 1.0, 1.5e300, math.Inf(1), math.NaN(), "täxt <&> \u2028 \x00", "not \xff UTF-8",
		[]byte{0, 255},
		runtime.List{},
		&runtime.Dict{},
		runtime.NewDict("b", runtime.List{int64(1), 2.0, runtime.NewDict("", nil)}, "a", int64(-1)), 1e15, 123456789012345680.0, math.Copysign(0, -1),
	} {
		do("a.star", "kv.set", "key", fmt.Sprintf("k%02d", i), "value", v)
	}
	do("lib/b.lua", "kv.set", "key", "with // and / in it", "value", "x", "ttl", 3600.0)
	do("lib/b.lua", "kv.incr", "key", "n", "shared", true)
	do("a.star", "once", "key", "welcome U1", "ttl", 86400.0)
	do("a.star", "conversation.set", "name", "step", "value", "size")
	do("a.star", "kv.set", "key", "gone", "value", "x")
	do("a.star", "kv.delete", "key", "gone")
	b := breaker.New(breaker.Options{State: s.State(), Now: time.Now})
	if err := b.Disable(t.Context(), "a.star:deploy", "see #ops <now>"); err != nil {
		t.Fatal(err)
	}
	b.Close(t.Context())
	for key, v := range map[string]string{"lookup:user:T1:U1/": "x", "guide/U1": "\x01\x02", "fleet": `{"rev":"abc"}`} {
		if _, err := s.State().Update(t.Context(), key, "op", false, func([]byte, bool) (queue.Change, error) { return queue.Change{Value: []byte(v)}, nil }); err != nil {
			t.Fatal(err)
		}
	}
	installs(t, s, installKey).install(t, "T1")
	park(t, s)
	at := time.Date(2100, 1, 2, 3, 4, 5, 6, time.UTC)
	for _, tm := range []queue.Timer{{ID: "schedule/a.star:tick", Key: "schedule", At: at, Body: []byte(`{"due":"2100-01-02T03:04:05Z"}`)}, {ID: "after/1", Key: "C1", At: at, Body: []byte{1, 2}}, {ID: "empty", At: at}} {
		if err := s.Timers().Set(t.Context(), tm); err != nil {
			t.Fatal(err)
		}
	}
}

func archive(t testing.TB, from backup.Target) string {
	t.Helper()
	var b strings.Builder
	if _, err := backup.Write(t.Context(), &b, from, backup.Header{Created: time.Unix(1e9, 0).UTC(), Starling: "test"}, backup.Filter{}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func restore(t testing.TB, to backup.Target, text string, o backup.RestoreOptions) (backup.Summary, []string) {
	t.Helper()
	var told []string
	o.Tell = func(c backup.Change, r *backup.Record) { told = append(told, string(c)+" "+r.String()) }
	sum, err := backup.Restore(t.Context(), to, strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(told)
	return sum, told
}

// far is a store behind the admin port of a server, as far as it matters here.
func far(t testing.TB, s *backup.Store) backup.Target {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+backup.PathState, func(w http.ResponseWriter, r *http.Request) {
		q := map[string]string{}
		for k := range r.URL.Query() {
			q[k] = r.URL.Query().Get(k)
		}
		if err := backup.Stream(r.Context(), w, s, backup.ReadQuery(q)); err != nil {
			t.Error(err)
		}
	})
	batch := func(do func(context.Context, []*backup.Record, *http.Request) (any, error)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			list, err := backup.ReadBatch(b)
			var v any
			if err == nil {
				v, err = do(r.Context(), list, r)
			}
			if err != nil {
				w.WriteHeader(http.StatusBadRequest)
				fmt.Fprintf(w, `{"error":%q}`, err)
				return
			}
			fmt.Fprint(w, text(v))
		}
	}
	mux.Handle("POST "+backup.PathState, batch(func(ctx context.Context, l []*backup.Record, r *http.Request) (any, error) {
		return s.Put(ctx, l, r.URL.Query().Get("dry") == "yes")
	}))
	mux.Handle("POST "+backup.PathDelete, batch(func(ctx context.Context, l []*backup.Record, _ *http.Request) (any, error) {
		return nil, s.Delete(ctx, l)
	}))
	mux.HandleFunc("POST "+backup.PathFinish, func(_ http.ResponseWriter, r *http.Request) { _ = s.Finish(r.Context()) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return &backup.Remote{Base: srv.URL, Client: srv.Client()}
}

func text(v any) string {
	var b strings.Builder
	b.WriteString("[")
	if list, ok := v.([]backup.Change); ok {
		for i, c := range list {
			if i > 0 {
				b.WriteString(",")
			}
			fmt.Fprintf(&b, "%q", c)
		}
	}
	return b.String() + "]"
}

func TestRoundTripIsEqual(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) queue.Store{"disk": disk, "memory": memory} {
		for _, remote := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " remote ", remote), func(t *testing.T) {
				t.Parallel()
				target := func(s queue.Store) backup.Target {
					local := &backup.Store{Queue: s, Now: time.Now}
					if remote {
						return far(t, local)
					}
					return local
				}
				one, two := open(t), open(t)
				fill(t, one)
				from, to := target(one), target(two)
				first := archive(t, from)
				for _, kind := range backup.Kinds {
					if !strings.Contains(first, `{"kind":"`+kind+`"`) {
						t.Errorf("the archive has nothing of the kind %s:\n%s", kind, first)
					}
				}
				if strings.Contains(first, "lookup:") {
					t.Error("the archive has what is remembered of Slack")
				}
				sum, told := restore(t, to, first, backup.RestoreOptions{Mode: backup.Merge, Dry: true})
				if len(told) != sum.Records || sum.Changes[backup.Added] != sum.Records {
					t.Errorf("dry run: %+v %v", sum, told)
				}
				if got := archive(t, to); strings.Contains(got, "kind") {
					t.Errorf("a dry run has stored\n%s", got)
				}
				restore(t, to, first, backup.RestoreOptions{Mode: backup.Merge})
				same(t, one, two)
				if sum, told := restore(t, to, first, backup.RestoreOptions{Mode: backup.Replace}); len(told) > 0 || sum.Changes[backup.Same] != sum.Records {
					t.Errorf("restored again: %+v %v", sum, told)
				}
			})
		}
	}
}

// same holds that two stores hold the same bytes under the same keys.
func same(t *testing.T, one, two queue.Store) {
	t.Helper()
	dump := func(s queue.Store) string {
		var b strings.Builder
		keys, err := s.State().Keys(t.Context(), "")
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range keys {
			if strings.HasPrefix(k.Key, "lookup:") || strings.HasPrefix(k.Key, "breaker-changes/") {
				continue
			}
			v, expires, err := s.State().Look(t.Context(), k.Key)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&b, "%q %x %v\n", k.Key, v, expires.Round(2*time.Second).UTC())
		}
		b.WriteString(parked(t, s))
		timers, err := s.Timers().All(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(timers, func(a, b queue.Timer) int { return strings.Compare(a.ID, b.ID) })
		for _, tm := range timers {
			fmt.Fprintf(&b, "%q %q %v %x\n", tm.ID, tm.Key, tm.At.UTC(), tm.Body)
		}
		return b.String()
	}
	if a, b := dump(one), dump(two); a != b {
		t.Errorf("one:\n%s\ntwo:\n%s", a, b)
	}
}

func TestMergeReplaceAndDifferences(t *testing.T) {
	t.Parallel()
	s := memory(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	done := 0
	to := &backup.Store{Queue: s, Now: func() time.Time { return now }, Done: func(context.Context) error { done++; return nil }}
	const before = `{"format":"starling-backup","version":1,"records":[
		{"kind":"kv","script":"a.star","key":"same","value":1},
		{"kind":"kv","script":"a.star","key":"other","value":1},
		{"kind":"kv","script":"a.star","key":"mine","value":[1,{"x":null}]},
		{"kind":"shared","key":"mine","value":"x"},
		{"kind":"timer","key":"t","owner":"o","at":"2100-01-01T00:00:00Z","value":{}}
	]}`
	const after = `{"format":"starling-backup","version":1,"created":"2026-03-01T00:00:00Z","records":[
		{"kind":"kv","script":"a.star","key":"same","value": 1 },
		{"kind":"kv","script":"a.star","key":"other","value":1.0},
		{"kind":"kv","script":"a.star","key":"new","value":"n","expires":"2100-01-01T00:00:00+01:00"},
		{"kind":"kv","script":"a.star","key":"old","value":"o","expires":"2026-03-01T12:00:00Z"}
	],"count":4}`
	restore(t, to, before, backup.RestoreOptions{Mode: backup.Merge})
	want := "[add kv a.star new change kv a.star other expired kv a.star old]"
	if _, told := restore(t, to, after, backup.RestoreOptions{Mode: backup.Merge, Dry: true}); fmt.Sprint(told) != want {
		t.Errorf("merge: %v", told)
	}
	full := "[add kv a.star new change kv a.star other delete kv a.star mine delete shared mine delete timer t expired kv a.star old]"
	if _, told := restore(t, to, after, backup.RestoreOptions{Mode: backup.Replace, Dry: true}); fmt.Sprint(told) != full {
		t.Errorf("replace: %v", told)
	}
	// With a filter, what it does not let through stays as it is.
	only := backup.Filter{Kinds: []string{backup.KV}}
	part := "[add kv a.star new change kv a.star other delete kv a.star mine expired kv a.star old]"
	if _, told := restore(t, to, after, backup.RestoreOptions{Mode: backup.Replace, Only: only}); fmt.Sprint(told) != part {
		t.Errorf("replace keys: %v", told)
	}
	keys, err := s.State().List(t.Context(), "", "", 0)
	if err != nil || fmt.Sprint(keys) != "[s/a.star//new s/a.star//other s/a.star//same shared/mine]" {
		t.Errorf("keys %v, %v", keys, err)
	}
	if done != 2 {
		t.Errorf("those who have read the store were told %d times, want once for each time that something was stored", done)
	}
}

// TestNothingIsWrittenOfABadArchive holds, for each way to be bad, that the
// error says where, and that the store is as it was.
func TestNothingIsWrittenOfABadArchive(t *testing.T) {
	t.Parallel()
	const head = `{"format":"starling-backup","version":1,"records":[`
	good := `{"kind":"kv","script":"a.star","key":"k","value":1}`
	rec := func(r string) string { return head + good + "," + r + "]}" }
	data := func(v runtime.Value) string {
		return rec(`{"kind":"kv","script":"a.star","key":"d","data":"` + base64.StdEncoding.EncodeToString(runtime.Encode(nil, v)) + `"}`)
	}
	deep := strings.Repeat("[", 60) + strings.Repeat("]", 60)
	for name, tc := range map[string]struct{ text, want string }{
		"empty":                  {"", "no JSON document of starling-backup"},
		"compressed":             {"\x1f\x8b\x08\x00", "uncompress it first"},
		"another document":       {`{"records":[]}`, `want "format": "starling-backup" first`},
		"a later version":        {`{"format":"starling-backup","version":2,"records":[]}`, "version 2, and this program reads version 1"},
		"a huge version":         {`{"format":"starling-backup","version":1e99,"records":[]}`, "the beginning"},
		"an unknown head":        {`{"format":"starling-backup","version":1,"run":"rm","records":[]}`, `unknown field "run"`},
		"a head twice":           {`{"format":"starling-backup","version":1,"version":1,"records":[]}`, "there twice"},
		"records that are none":  {`{"format":"starling-backup","version":1,"records":{}}`, `want "records": a list`},
		"cut off":                {head + good, "cut off"},
		"cut off in a record":    {head + good[:20], "record 1"},
		"cut off behind":         {head + good + "]", "cut off"},
		"more behind":            {head + good + `]}{}`, "something behind its end"},
		"another count":          {head + good + `],"count":2}`, "it has 1 records, and says 2"},
		"another sum":            {head + good + `],"sha256":"00"}`, "sum differs"},
		"an unknown end":         {head + good + `],"after":1}`, `unknown field "after"`},
		"a record that is none":  {rec(`7`), "record 2"},
		"an unknown kind":        {rec(`{"kind":"kw","script":"a","key":"k","value":1}`), `record 2: unknown kind "kw" (did you mean kv?)`},
		"code":                   {rec(`{"kind":"source","key":"a.star","value":"fail()"}`), "source has data alone"},
		"an unknown field":       {rec(`{"kind":"kv","script":"a","key":"k","value":1,"exec":"x"}`), `unknown field "exec"`},
		"a field twice":          {rec(`{"kind":"kv","script":"a","key":"k","value":1,"value":2}`), `field "value" is there twice`},
		"a field twice, inside":  {rec(`{"kind":"kv","script":"a","key":"k","value":{"x":[{"y":1,"y":1}]}}`), `field "y" is there twice`},
		"a key twice":            {rec(`{"kind":"kv","script":"a.star","key":"k","value":2}`), "record 2: kv a.star k is there twice"},
		"no key":                 {rec(`{"kind":"kv","script":"a","value":1}`), "key is empty"},
		"no script":              {rec(`{"kind":"kv","key":"k","value":1}`), "script is empty"},
		"a script that is none":  {rec(`{"kind":"kv","script":"a//b","key":"k","value":1}`), "want a path"},
		"a script for shared":    {rec(`{"kind":"shared","script":"a","key":"k","value":1}`), "shared is of no script"},
		"a long key":             {rec(`{"kind":"kv","script":"a","key":"` + strings.Repeat("k", 600) + `","value":1}`), "600 bytes, the limit is 512"},
		"no value":               {rec(`{"kind":"kv","script":"a","key":"k"}`), "there is no value"},
		"two values":             {rec(`{"kind":"kv","script":"a","key":"k","value":1,"data":"AA=="}`), "exclude each other"},
		"a key of another type":  {rec(`{"kind":"kv","script":"a","key":7,"value":1}`), "key: got a number"},
		"bad base64":             {rec(`{"kind":"kv","script":"a","key":"k","data":"%%"}`), "base64"},
		"a huge number":          {rec(`{"kind":"kv","script":"a","key":"k","value":1e999}`), "number 1e999 is out of range"},
		"a huge whole number":    {rec(`{"kind":"kv","script":"a","key":"k","value":9223372036854775808}`), "out of range"},
		"a number without end":   {rec(`{"kind":"kv","script":"a","key":"k","value":` + strings.Repeat("9", 100000) + `}`), "a number of 100000 digits"},
		"deep":                   {rec(`{"kind":"kv","script":"a","key":"k","value":` + deep + `}`), "nested more than 36 deep"},
		"a little too deep":      {rec(`{"kind":"kv","script":"a","key":"k","value":` + deep[60-33:60+33] + `}`), "nested more than 30 deep"},
		"far too deep":           {rec(`{"kind":"kv","script":"a","key":"k","value":` + strings.Repeat("[", 1<<20)), "record 2"},
		"too many parts":         {rec(`{"kind":"kv","script":"a","key":"k","value":[` + strings.Repeat("0,", 60000) + `0]}`), "50000 parts"},
		"a large value":          {rec(`{"kind":"kv","script":"a","key":"k","value":"` + strings.Repeat("x", 300<<10) + `"}`), "takes 307204 bytes, the limit is 262144"},
		"a record without end":   {head + `{"kind":"` + strings.Repeat("x", 5<<20), "a record of more than 4194304 bytes"},
		"blanks without end":     {head + strings.Repeat(" ", 9<<20), "archive"},
		"not UTF-8":              {rec("{\"kind\":\"kv\",\"script\":\"a\",\"key\":\"\xff\",\"value\":1}"), "not UTF-8"},
		"a time that is none":    {rec(`{"kind":"kv","script":"a","key":"k","value":1,"expires":"soon"}`), "parsing time"},
		"a far time":             {rec(`{"kind":"kv","script":"a","key":"k","value":1,"expires":"9999-01-01T00:00:00Z"}`), "before 2262"},
		"a timer without time":   {rec(`{"kind":"timer","key":"k","value":1}`), "when the timer falls due"},
		"a time without timer":   {rec(`{"kind":"kv","script":"a","key":"k","value":1,"at":"2100-01-01T00:00:00Z"}`), "only timers have at"},
		"a talk that is no dict": {rec(`{"kind":"conversation","script":"a","key":"k","value":1}`), "is a dict, not a int"},
		"past its kind":          {rec(`{"kind":"state","key":"s/a.star//k","value":1}`), "none of the kind state"},
		"past its kind, a cache": {rec(`{"kind":"state","key":"lookup:user/1","value":1}`), "none of the kind state"},
		"a function":             {data(runtime.Func{Index: 1, Name: "f"}), "has a function in it"},
		"a secret":               {data(runtime.List{runtime.Secret{Parts: []runtime.SecretPart{{Name: "TOKEN"}}}}), "has a secret in it"},
		"a pattern":              {data(runtime.NewDict("x", runtime.Regexp{Pattern: "("})), "has a regexp in it"},
		"raw JSON":               {data(runtime.JSON(`{"a":`)), "in it, want plain data"},
		"data that is none":      {rec(`{"kind":"kv","script":"a","key":"k","data":"/////w=="}`), "data: bad encoding"},
		"data of many parts":     {rec(`{"kind":"kv","script":"a","key":"k","data":"B/////8P"}`), "data: bad encoding"},
		"data in another form":   {rec(`{"kind":"kv","script":"a","key":"k","data":"` + base64.StdEncoding.EncodeToString([]byte{3, 0x80, 0x00}) + `"}`), "not as it would be written"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := memory(t)
			_, err := backup.Restore(t.Context(), &backup.Store{Queue: s, Now: time.Now}, strings.NewReader(tc.text), backup.RestoreOptions{Mode: backup.Replace})
			if err == nil || !strings.Contains(err.Error(), tc.want) || len(err.Error()) > 400 {
				t.Errorf("error %.500v, want one with %q", err, tc.want)
			}
			if keys, _ := s.State().List(t.Context(), "", "", 0); len(keys) > 0 {
				t.Errorf("stored %v", keys)
			}
		})
	}
}

// TestAnArchiveLargerThanTheStoreIsRefused holds that it is read no further.
func TestAnArchiveLargerThanTheStoreIsRefused(t *testing.T) {
	t.Parallel()
	read := 0
	bomb := io.MultiReader(strings.NewReader(`{"format":"starling-backup","version":1,"records":[`), &endless{n: &read})
	_, _, err := backup.Check(bomb, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "more than the 1048576 bytes") || read > 8<<20 {
		t.Errorf("%v after %d bytes", err, read)
	}
}

// endless is records for ever.
type endless struct {
	n    *int
	i    int
	rest []byte
}

func (e *endless) Read(b []byte) (int, error) {
	if len(e.rest) == 0 {
		e.i++
		e.rest = fmt.Appendf(nil, "{\"kind\":\"shared\",\"key\":\"k%d\",\"value\":%q},\n", e.i, strings.Repeat("x", 1000))
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	*e.n += n
	return n, nil
}

// TestRecordsAreCheckedByTheStoreToo holds that the admin port is no way past
// the archive's checks.
func TestRecordsAreCheckedByTheStoreToo(t *testing.T) {
	t.Parallel()
	s := memory(t)
	to := far(t, &backup.Store{Queue: s, Now: time.Now})
	_, err := to.Put(t.Context(), []*backup.Record{{Kind: backup.State, Key: "shared/x", Data: []byte("x")}}, false)
	if err == nil || !strings.Contains(err.Error(), "none of the kind state") {
		t.Error(err)
	}
	if err := to.Delete(t.Context(), []*backup.Record{{Kind: "all", Key: "x"}}); err == nil {
		t.Error("a record of no kind is deleted")
	}
	if keys, _ := s.State().List(t.Context(), "", "", 0); len(keys) > 0 {
		t.Errorf("stored %v", keys)
	}
}

func FuzzArchive(f *testing.F) {
	s := queue.NewMemory(queue.MemoryOptions{})
	fill(f, s)
	f.Add([]byte(archive(f, &backup.Store{Queue: s, Now: time.Now})))
	f.Add([]byte(`{"format":"starling-backup","version":1,"records":[{"kind":"kv","script":"a","key":"k","value":[1e9,{"a":null}]}],"count":1}`))
	f.Add([]byte(`{"format":"starling-backup","version":1,"records":[{"kind":"timer","key":"k","at":"2100-01-01T00:00:00Z","data":"AA=="}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, ids, err := backup.Check(bytes.NewReader(text), 1<<20)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		// What is found good can be stored, and comes back as it was.
		to := &backup.Store{Queue: memory(t), Now: time.Now}
		sum, err := backup.Restore(t.Context(), to, bytes.NewReader(text), backup.RestoreOptions{Mode: backup.Merge})
		if errors.Is(err, queue.ErrTooLarge) {
			return
		}
		if err != nil || sum.Records != len(ids) {
			t.Fatalf("%d of %d records, %v", sum.Records, len(ids), err)
		}
		sum, err = backup.Restore(t.Context(), to, strings.NewReader(archive(t, to)), backup.RestoreOptions{Mode: backup.Replace, Dry: true})
		if err != nil || sum.Changes[backup.Same] != sum.Records || sum.Changes[backup.Deleted] > 0 {
			t.Fatalf("%+v, %v", sum, err)
		}
	})
}
