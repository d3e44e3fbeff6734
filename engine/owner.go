package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
)

// How often owners are told that their rules fail: of one fault of a rule once
// in noticeEvery, whatever the process and over restarts, and of all faults
// noticeMost times in that time, by this process.
const (
	noticeEvery = time.Hour
	noticeMost  = 10
	noticeWait  = 30 * time.Second
	noticesOpen = 16
)

// owners tells those who look after rules that these fail.
type owners struct {
	mu   sync.Mutex
	sent map[string][]time.Time // by owner: when they were told of late
	open int                    // notices on their way
}

// errTold says that the owner knows already.
var errTold = errors.New("told already")

// ruleFailed implements dispatch.Options.Failed: it does not wait.
func (e *Engine) ruleFailed(f dispatch.Failure) {
	if !e.owners.take(f.Owner, e.o.Now()) {
		return
	}
	e.jobs.Go(func() {
		defer e.owners.done()
		ctx, cancel := context.WithTimeout(e.jobCtx, noticeWait)
		defer cancel()
		err := e.claimNotice(ctx, f)
		if err == nil {
			err = e.notify(ctx, f.Owner, failureText(f), "fail-"+f.Run, event.Event{Team: f.Event.Team, Enterprise: f.Event.Enterprise, Bot: f.Event.Bot})
		}
		if err != nil && !errors.Is(err, errTold) {
			e.log.Warn("tell the owner of a rule that it fails", "rule", f.Rule, "owner", f.Owner, "run", f.Run, "err", err)
		}
	})
}

// take reports whether an owner may be told of something now, and counts it.
func (o *owners) take(owner string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.sent == nil {
		o.sent = map[string][]time.Time{}
	}
	late := o.sent[owner][:0]
	for _, at := range o.sent[owner] {
		if now.Sub(at) < noticeEvery {
			late = append(late, at)
		}
	}
	o.sent[owner] = late
	if len(late) >= noticeMost || o.open >= noticesOpen {
		return false
	}
	o.sent[owner] = append(late, now)
	o.open++
	return true
}

func (o *owners) done() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.open--
}

// claimNotice makes the fault this process's to tell of; errTold if it was told
// within noticeEvery.
func (e *Engine) claimNotice(ctx context.Context, f dispatch.Failure) error {
	sum := sha256.Sum256([]byte(f.Rule + "\x00" + f.Owner + "\x00" + string(f.Err.Kind) + "\x00" + f.Err.Pos.String()))
	_, err := e.store.State().Update(ctx, "fleet/told/"+hex.EncodeToString(sum[:12]), f.Run, false, func(_ []byte, told bool) (queue.Change, error) {
		if told {
			return queue.Change{}, errTold
		}
		return queue.Change{Value: []byte(f.Run), TTL: noticeEvery}, nil
	})
	return err
}

// failureText is short, and free of what the script or the event said.
func failureText(f dispatch.Failure) string {
	limit := ""
	if f.Err.Limit != "" {
		limit = " (limit `" + f.Err.Limit + "`)"
	}
	return fmt.Sprintf("Your rule `%s` failed at `%s`%s in run `%s`. `starling runs %s` shows what happened. "+
		"You are told once an hour of what fails at one place.",
		strings.ReplaceAll(f.Rule, "`", "'"), f.Err.Pos, limit, f.Run, f.Run)
}
