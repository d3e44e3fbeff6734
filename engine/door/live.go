package door

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/permit"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// Deps are what the live handlers work with. Slack, HTTP and State are
// required by the kinds that use them: without, these kinds are absent.
type Deps struct {
	Slack *slackapi.Client
	HTTP  *HTTP
	State queue.State
	// Secrets returns the value of a configured secret.
	Secrets func(name string) (string, bool)
	// Now is the clock; time.Now by default.
	Now    func() time.Time
	Logger *slog.Logger
	// MaxKey and MaxValue bound kv in bytes: 512 and 256 KiB.
	MaxKey, MaxValue int
	// MaxKeys and MaxBytes bound what one script keeps, and what all share:
	// 100,000 keys and 64 MiB of keys and values.
	MaxKeys  int
	MaxBytes int64
	// SharedStore tells that other processes change the same State.
	SharedStore bool
	// Elsewhere tells of changes of State past the door; may be nil.
	Elsewhere *Elsewhere
	// Metrics may be nil.
	Metrics *metric.Set
	// People knows who is in a user group; by default Slack is asked, and
	// believed for some minutes.
	People permit.Directory
}

// The defaults of Deps.
const (
	DefaultMaxKey   = 512
	DefaultMaxValue = 256 << 10
	DefaultMaxKeys  = 100_000
	DefaultMaxBytes = 64 << 20
)

// live is the state that the handlers share.
type live struct {
	Deps
	quota *quota
	lines lines
}

// NewLive makes the handlers of every kind of effect.
func NewLive(d Deps) Live {
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Logger == nil {
		d.Logger = slog.New(slog.DiscardHandler)
	}
	if d.Secrets == nil {
		d.Secrets = func(string) (string, bool) { return "", false }
	}
	if d.People == nil && d.Slack != nil {
		d.People = &permit.Slack{Client: d.Slack, Now: d.Now}
	}
	if d.MaxKey == 0 {
		d.MaxKey = DefaultMaxKey
	}
	if d.MaxValue == 0 {
		d.MaxValue = DefaultMaxValue
	}
	if d.MaxKeys == 0 {
		d.MaxKeys = DefaultMaxKeys
	}
	if d.MaxBytes == 0 {
		d.MaxBytes = DefaultMaxBytes
	}
	l := &live{Deps: d, quota: newQuota(d)}
	all := Live{"hash.hmac": {Do: l.hmac, Read: true, Repeat: Always(Again)}}
	l.laterHandlers(all)
	if d.Slack != nil {
		l.slackHandlers(all)
		l.waitHandlers(all)
	}
	if d.HTTP != nil {
		l.httpHandlers(all)
	}
	if d.State != nil {
		l.kvHandlers(all)
	}
	for kind, h := range all {
		all[kind] = l.guarded(kind, h)
	}
	return all
}

// guarded puts in front of a handler what all have in common: dry runs, a
// run without an event, secrets opened before and masked after.
func (l *live) guarded(kind string, h Handler) Handler {
	do, find := h.Do, h.Find
	h.Do = func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
		if r.DryRun {
			return dry(kind, e), nil
		}
		r, e, sec, err := l.prepare(kind, r, e)
		if err != nil {
			return nil, err
		}
		v, err := do(ctx, r, e)
		return sec.scrub(v), sec.scrubError(err)
	}
	l.guardWait(&h)
	if find != nil {
		h.Find = func(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, bool, bool) {
			r, e, sec, err := l.prepare(kind, r, e)
			if err != nil {
				return nil, false, false
			}
			v, found, known := find(ctx, r, e)
			return sec.scrub(v), found, known
		}
	}
	return h
}

func (l *live) prepare(kind string, r *Run, e runtime.Effect) (*Run, runtime.Effect, *opened, error) {
	if r.Event == nil {
		alone := *r
		alone.Event = &event.Event{}
		r = &alone
	}
	sec := &opened{lookup: l.Secrets}
	if !takesSecrets(kind) {
		sec.lookup = nil
	}
	args, err := sec.dict(e.Args)
	if err != nil {
		return r, e, sec, fmt.Errorf("%s: %w", kind, err)
	}
	e.Args = args
	return r, e, sec, nil
}

// takesSecrets reports whether secrets are opened for a kind of effect. What
// others do with their arguments can be read back by a script: a message from
// its channel, a value from kv.
func takesSecrets(kind string) bool {
	return kind == "hash.hmac" || strings.HasPrefix(kind, "http_")
}

// dry is the result of an effect in a dry run: ok with empty data.
func dry(kind string, e runtime.Effect) runtime.Value {
	switch kind {
	case "kv.get":
		v, _ := e.Args.Get("default")
		return v
	case "kv.set":
		return nil
	case "kv.incr":
		return integer(e.Args, "by", 1)
	case "kv.list":
		return []runtime.Value{}
	case "kv.delete", "kv.cas", "once", "conversation.delete":
		return true
	case "conversation.get":
		v, given := e.Args.Get("default")
		if _, named := e.Args.Get("name"); !named && !given {
			return &runtime.Dict{}
		}
		return v
	case "conversation.set":
		return nil
	case "kv.update", "conversation.update":
		return runtime.NewDict("found", false, "value", nil, "was", "", "done", true)
	case "hash.hmac":
		return ""
	case "read_markup":
		return readable(event.Read(e.Args.Text("text"), event.Namer{}))
	case "write_markup":
		v, _ := e.Args.Get("content")
		return v
	case "commands.list":
		return []runtime.Value{}
	case "commands.find":
		return runtime.NewDict("text", e.Args.Text("text"), "command", nil, "near", []runtime.Value{}, "elsewhere", []runtime.Value{})
	case "ask", "ask_form", "wait_event", "wait_reply", "wait_reaction":
		return runtime.JSON(`{"ok":true}`)
	case "sleep":
		return nil
	case "after":
		return ""
	case "cancel":
		return true
	case "slack_pages":
		return runtime.NewDict("ok", true, "error", nil, "items", []runtime.Value{}, "complete", true)
	}
	if strings.HasPrefix(kind, "http_") {
		return runtime.NewDict("ok", true, "status", int64(200), "text", "", "json", nil, "headers", &runtime.Dict{}, "error", nil)
	}
	return runtime.NewDict("ok", true)
}

// ErrUnknownKind says that no handler performs effects of this kind.
var ErrUnknownKind = errors.New("no such effect here")

// Door returns the innermost door: the handlers, on behalf of one run.
func (l Live) Door(r *Run) runtime.Door {
	return runtime.DoorFunc(func(ctx context.Context, e runtime.Effect) (runtime.Value, error) {
		h, ok := l[e.Kind]
		if !ok {
			return nil, fmt.Errorf("%s: %w", e.Kind, ErrUnknownKind)
		}
		return h.Do(ctx, r, e)
	})
}
