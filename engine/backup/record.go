// Package backup writes what the store keeps of state to an archive of plain
// data, and reads it back.
//
//	Record   one thing that is kept: a key of a script, a rule that is off, a timer
//	Target   what records come from and go to: a store (Store), or a server
//	Write    a Target to an archive
//	Open     an archive, read record by record and checked to its end
//	Restore  an archive to a Target, or what it would change
//
// An archive is one JSON document:
//
//	{"format":"starling-backup","version":1,"created":"…","records":[
//	{"kind":"kv","script":"deploy.star","key":"last","value":{"by":"U1"}},
//	…
//	],"count":12,"sha256":"…"}
//
// It is read piece by piece: memory is bounded by one record, and 16 bytes for
// each record so that none is there twice. Nothing in an archive is code but the
// versions of scripts that runs wait on; and nothing is written before all of it
// has been read and found good.
//
// What an archive holds is as of the moment at which each record was read: of
// one key always one state, of several keys not one moment. Where scripts keep
// what belongs together under one key, that is whole in an archive. Runs that
// wait are state, with what they did so far; events, runs under way and those
// that have ended are not: an archive does not hold them, nor what is remembered
// of Slack, which is looked up again.
package backup

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/runtime"
)

// The kinds of records.
const (
	KV           = "kv"           // a key of a script
	Shared       = "shared"       // a key of all scripts
	Once         = "once"         // what a script does once
	Conversation = "conversation" // the state of a conversation of a script
	Switch       = "switch"       // a rule that is off
	Source       = "source"       // a version of a script that a run waits on
	Wait         = "wait"         // a run that waits
	Timer        = "timer"        // what falls due: a schedule's next and last firing
	Install      = "install"      // a workspace that has installed the app, encrypted as it is in the store
	State        = "state"        // what other parts of the server keep
)

// Kinds are all kinds, in the order of an archive: a timer comes behind the run
// that it wakes, and a run behind the version that it needs.
var Kinds = []string{KV, Shared, Once, Conversation, Switch, Source, Wait, Timer, Install, State}

// Record is one thing that is kept.
type Record struct {
	Kind   string `json:"kind"`
	Script string `json:"script,omitempty"`
	Key    string `json:"key"`
	// Owner groups timers; only they have it, and At, when they fall due.
	Owner string     `json:"owner,omitempty"`
	At    *time.Time `json:"at,omitempty"`
	// Value is what is kept, as JSON; Data is, where JSON has no form for it.
	Value json.RawMessage `json:"value,omitempty"`
	Data  []byte          `json:"data,omitempty"`
	// Expires is when it is forgotten; nil: never.
	Expires *time.Time `json:"expires,omitempty"`
}

// ID names what the record is about: two records of one id are of one thing.
func (r *Record) ID() string {
	return r.Kind + "\x00" + r.Script + "\x00" + r.Owner + "\x00" + r.Key
}

// String names the record for people.
func (r *Record) String() string {
	parts := []string{r.Kind}
	for _, p := range []string{r.Script, r.Key} {
		if p != "" {
			parts = append(parts, p)
		}
	}
	return strings.Join(parts, " ")
}

// Target is what records come from and go to.
type Target interface {
	// Export calls f with each record that the filter lets through, by kind and key.
	Export(ctx context.Context, only Filter, f func(*Record) error) error
	// Put stores records and says what that changes; dry, it only says so.
	Put(ctx context.Context, records []*Record, dry bool) ([]Change, error)
	// Delete removes what the records are about.
	Delete(ctx context.Context, records []*Record) error
	// Finish is called when all is stored: whoever has read it before reads
	// it again.
	Finish(ctx context.Context) error
}

// Filter lets records through. The zero value lets all through.
type Filter struct {
	Kinds  []string
	Script string // of this script
	Key    string // of this key
	Prefix string // of keys that begin so
	// NoValues leaves out what is kept.
	NoValues bool
}

// Lets reports whether the filter lets a record through.
func (o *Filter) Lets(r *Record) bool {
	return o.letsKind(r.Kind) && (o.Script == "" || r.Script == o.Script) &&
		(o.Key == "" || r.Key == o.Key) && strings.HasPrefix(r.Key, o.Prefix)
}

// letsKind reports whether records of a kind may be let through.
func (o *Filter) letsKind(kind string) bool {
	return len(o.Kinds) == 0 || slices.Contains(o.Kinds, kind)
}

// Change is what storing a record makes of what is there.
type Change string

// The changes.
const (
	Added   Change = "add"
	Changed Change = "change"
	Same    Change = "same"
	Expired Change = "expired" // not stored: its time is over
	Deleted Change = "delete"
)

// spaces are where kinds are kept in the state of a store. Timers, runs and
// sources have places of their own.
const (
	switchSpace = "breaker/"
	// switchChanges tells other processes that a switch was changed: it counts
	// in each store for itself.
	switchChanges = "breaker-changes/"
	lookups       = "lookup:"
	// Who has changed which installation, who renews its token at the moment,
	// and what was used up on the way to it.
	installNews = "install-news/"
	oauthSpaces = "oauth-"
)

// place is where a record of the state is kept.
func (r *Record) place() string {
	switch r.Kind {
	case KV:
		return door.KVSpace(r.Script, false) + r.Key
	case Shared:
		return door.KVSpace("", true) + r.Key
	case Once:
		return door.KVSpaces(r.Script)[1] + r.Key
	case Conversation:
		return door.KVSpaces(r.Script)[2] + r.Key
	case Switch:
		return switchSpace + r.Key
	case Install:
		return install.Space + r.Key
	}
	return r.Key
}

// kept reports whether a kind holds values of scripts, in their wire form.
func kept(kind string) bool {
	return kind == KV || kind == Shared || kind == Once || kind == Conversation
}

// recordAt is the record of a key of the state; nil for what is not archived.
func recordAt(place string) *Record {
	own := func(kind, rest string) *Record {
		// The path of a script ends in two slashes, and has none before.
		script, key, ok := strings.Cut(strings.TrimPrefix(rest, "s/"), "//")
		if !ok || !strings.HasPrefix(rest, "s/") {
			return &Record{Kind: State, Key: place}
		}
		return &Record{Kind: kind, Script: script, Key: key}
	}
	space, rest, _ := strings.Cut(place, "/")
	switch {
	case strings.HasPrefix(place, lookups), strings.HasPrefix(place, switchChanges),
		strings.HasPrefix(place, installNews), strings.HasPrefix(place, oauthSpaces):
		return nil
	case space == "s":
		return own(KV, place)
	case space == "once":
		return own(Once, rest)
	case space == "talk":
		return own(Conversation, rest)
	case space == "shared":
		return &Record{Kind: Shared, Key: rest}
	case strings.HasPrefix(place, switchSpace):
		return &Record{Kind: Switch, Key: rest}
	case strings.HasPrefix(place, install.Space):
		return &Record{Kind: Install, Key: rest}
	}
	return &Record{Kind: State, Key: place}
}

// hold puts what is kept into the record.
func (r *Record) hold(b []byte) {
	if kept(r.Kind) {
		v, err := runtime.Decode(bytes.Clone(b))
		if err == nil {
			if text, err := runtime.AppendJSON(nil, v); err == nil {
				if back, err := runtime.ParseJSON(text); err == nil && bytes.Equal(runtime.Encode(nil, back), b) {
					r.Value = text
					return
				}
			}
		}
		r.Data = bytes.Clone(b)
		return
	}
	if text := bytes.TrimSpace(b); len(text) > 0 && utf8.Valid(b) && json.Valid(b) && bytes.Equal(compact(b), b) {
		r.Value = bytes.Clone(b)
		return
	}
	r.Data = append([]byte{}, b...)
}

// compact is the JSON as encoding/json writes it.
func compact(b []byte) []byte {
	var out bytes.Buffer
	if err := json.Compact(&out, b); err != nil {
		return nil
	}
	return out.Bytes()
}

// held is what the record holds, as it is kept; an error says what is wrong.
func (r *Record) held() ([]byte, error) {
	switch {
	case r.Value != nil && r.Data != nil:
		return nil, errors.New("value and data exclude each other")
	case !kept(r.Kind):
		if r.Value != nil {
			return compact(r.Value), nil
		}
		return r.Data, nil
	case r.Value != nil:
		v, err := runtime.ParseJSON(r.Value)
		if err != nil {
			return nil, fmt.Errorf("value: %w", err)
		}
		return r.encoded(v)
	case r.Data == nil:
		return nil, errors.New("there is no value")
	}
	v, err := runtime.Decode(bytes.Clone(r.Data))
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	b, err := r.encoded(v)
	if err == nil && !bytes.Equal(b, r.Data) {
		err = errors.New("data: not as it would be written")
	}
	return b, err
}

func (r *Record) encoded(v runtime.Value) ([]byte, error) {
	if err := runtime.CheckBounds(v); err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	if err := plainData(v); err != nil {
		return nil, err
	}
	if _, isDict := v.(*runtime.Dict); r.Kind == Conversation && !isDict {
		return nil, fmt.Errorf("value: the state of a conversation is a dict, not a %s", runtime.TypeName(v))
	}
	b := runtime.Encode(nil, v)
	if len(b) > door.DefaultMaxValue {
		return nil, fmt.Errorf("value: takes %d bytes, the limit is %d", len(b), door.DefaultMaxValue)
	}
	return b, nil
}

// plainData refuses what scripts cannot store either: functions, secrets.
func plainData(v runtime.Value) error {
	switch v := v.(type) {
	case nil, bool, int64, float64, string, []byte:
		return nil
	case runtime.List:
		for _, e := range v {
			if err := plainData(e); err != nil {
				return err
			}
		}
		return nil
	case *runtime.Dict:
		for _, f := range v.Fields {
			if err := plainData(f.Value); err != nil {
				return err
			}
		}
		return nil
	}
	return fmt.Errorf("value: has a %s in it, want plain data", runtime.TypeName(v))
}
