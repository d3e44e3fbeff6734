package engine

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/metric"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/repo"
	"github.com/starling-rules/starling/runtime"
)

// repoDir is where the repository of rules is kept.
func repoDir(c *config.Config) string { return filepath.Join(c.Data, "rules-git") }

// ruleDirs are the directories that rules are read from.
func ruleDirs(c *config.Config) []string {
	if c.RulesGit.URL == "" {
		return c.Rules
	}
	return append(slices.Clone(c.Rules), filepath.Join(repoDir(c), "current"))
}

func (e *Engine) newRepo() *repo.Repo {
	g := e.o.Config.RulesGit
	if g.URL == "" {
		return nil
	}
	return repo.New(repo.Options{
		URL: g.URL, Ref: g.Ref, Path: g.Path, Dir: repoDir(e.o.Config), Keep: g.Keep, Check: e.checkRules, Logger: e.log,
	})
}

// revision is that of the repository of rules in force.
func (e *Engine) revision() string {
	if e.repo == nil {
		return ""
	}
	return e.repo.Revision()
}

// checkRules loads the rules of a revision beside all others, as a start would,
// in a pool of its own: those in force notice nothing. An error of any of its
// files refuses it as a whole.
func (e *Engine) checkRules(ctx context.Context, dir string) error {
	lib, _, err := e.library()
	if err != nil {
		return err
	}
	pool, err := e.o.Pool(runtime.Host{Library: lib, Input: event.Host})
	if err != nil {
		return fmt.Errorf("start a pool: %w", err)
	}
	o, c := e.o, *e.o.Config
	c.Rules, c.RulesGit = append(slices.Clone(c.Rules), dir), config.RulesGit{}
	o.Config, o.Logger = &c, nil
	loader := newLoader(o, pool, e.known, metric.New(""))
	_, _, err = loader.Load(ctx)
	rep := loader.Report()
	err = errors.Join(err, pool.Close(context.WithoutCancel(ctx)))
	if err != nil {
		return fmt.Errorf("load the rules: %w", err)
	}
	own := map[string]bool{}
	for _, src := range loader.Sources() {
		own[src.Path] = own[src.Path] || src.Dir == dir
	}
	var faults runtime.Errors
	for _, f := range rep.Files {
		if own[f.Path] {
			faults = append(faults, f.Errors...)
		}
	}
	for _, p := range rep.Problems {
		if strings.Contains(p.Error(), dir) {
			faults = append(faults, &runtime.Error{Kind: runtime.LoadError, Msg: p.Error()})
		}
	}
	if len(faults) > 0 {
		return repo.Bad(faults)
	}
	return nil
}

// Pull fetches the repository of rules, and switches to its newest revision if
// all of it is good; else what is in force stays, and whoever rules_git.tell
// names is told once. Without a repository it does nothing.
func (e *Engine) Pull(ctx context.Context) error {
	res, err := e.fetchRules(ctx)
	if err != nil || !res.Changed {
		return err
	}
	return e.loader.Reload(ctx)
}

// fetchRules is Pull, and leaves it to the caller to load what has changed.
func (e *Engine) fetchRules(ctx context.Context) (repo.Result, error) {
	if e.repo == nil {
		return repo.Result{}, nil
	}
	res, err := e.repo.Pull(ctx)
	switch {
	case err != nil:
		e.log.Error("rules of the repository are not taken up: the revision before stays", "revision", res.Revision, "err", err)
		if res.News {
			e.tellRefused(ctx, res.Revision, err)
		}
		return res, err
	case !res.Changed:
		return res, nil
	}
	return res, e.shareRevision(ctx, res.Revision)
}

// tellRefused posts that a revision was refused. What is wrong stands in the
// log: the message names the place alone.
func (e *Engine) tellRefused(ctx context.Context, stays string, err error) {
	to := e.o.Config.RulesGit.Tell
	if to == "" {
		return
	}
	place := ""
	if faults, ok := errors.AsType[runtime.Errors](err); ok && len(faults) > 0 {
		place = fmt.Sprintf(" The first of %d problems is at `%s`.", len(faults), faults[0].Pos)
	}
	if stays == "" {
		stays = "none"
	}
	text := "The newest revision of the rules has errors and is not taken up." + place + " In force stays `" + stays[:min(12, len(stays))] + "`; the log has the rest."
	if err := e.notify(ctx, to, text, "git-"+stays, event.Event{}); err != nil {
		e.log.Warn("tell of a refused revision", "to", to, "err", err)
	}
}

// notify sends a notice of the server to a person or a channel.
func (e *Engine) notify(ctx context.Context, to, text, id string, on event.Event) error {
	effect := runtime.Effect{Step: 1, Kind: "dm", Args: runtime.NewDict("user", to, "text", text)}
	if isChannel(to) {
		effect.Kind, effect.Args = "post", runtime.NewDict("channel", to, "text", text)
	}
	h, ok := e.live[effect.Kind]
	if !ok || h.Do == nil {
		return nil // an engine without Slack
	}
	run := &door.Run{ID: id, Event: &event.Event{ID: id, Team: on.Team, Enterprise: on.Enterprise, Bot: on.Bot}}
	v, err := h.Do(ctx, run, effect)
	if err != nil {
		return err
	}
	res, err := runtime.ParseView(asJSON(v))
	if err != nil {
		return fmt.Errorf("read Slack's answer: %w", err)
	}
	if ok, _ := res.Get("ok"); ok != true {
		code, _ := res.Get("error")
		return fmt.Errorf("refused by Slack: %v", code)
	}
	return nil
}

// firstPull fetches the repository before rules are loaded for the first time.
// What was in force at the last stop is enough to start with.
func (e *Engine) firstPull(ctx context.Context) {
	if e.repo == nil {
		return
	}
	if _, err := e.fetchRules(ctx); err != nil && e.repo.Revision() == "" {
		e.log.Error("there are no rules of the repository yet", "err", err)
	}
}

// revisionKey is the state that tells the processes of a cluster of a revision.
const revisionKey = "fleet/rules-git"

// shareRevision tells the other processes that there is another revision.
func (e *Engine) shareRevision(ctx context.Context, revision string) error {
	if e.o.Config.Queue.URL == "" {
		return nil
	}
	_, err := e.store.State().Update(ctx, revisionKey, revision, false, func([]byte, bool) (queue.Change, error) {
		return queue.Change{Value: []byte(revision)}, nil
	})
	if err != nil {
		return fmt.Errorf("tell other processes of the revision: %w", err)
	}
	return nil
}

// sharedPoll is how often a process of a cluster looks whether another one has
// taken up a revision.
const sharedPoll = 5 * time.Second

// followRepo fetches the repository at its interval, and when another process
// of the cluster has.
func (e *Engine) followRepo(ctx context.Context) error {
	every, shared := e.o.Config.RulesGit.Every, e.o.Config.Queue.URL != ""
	if e.repo == nil || every == 0 && !shared {
		return nil
	}
	wait := every
	if shared && (every == 0 || every > sharedPoll) {
		wait = sharedPoll
	}
	last := e.o.Now()
	tick := time.NewTicker(wait)
	defer tick.Stop()
	seen := ""
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		due := every > 0 && e.o.Now().Sub(last) >= every
		if shared {
			if b, err := e.store.State().Get(ctx, revisionKey); err == nil && string(b) != seen {
				seen = string(b)
				due = due || seen != e.repo.Revision()
			}
		}
		if due {
			last = e.o.Now()
			_ = e.Pull(ctx) // logged
		}
	}
}

// repoMounts is the webhook that makes the server fetch the repository.
func (e *Engine) repoMounts() []ingress.Mount {
	g := e.o.Config.RulesGit
	if e.repo == nil || g.Webhook == "" {
		return nil
	}
	return []ingress.Mount{{Method: http.MethodPost, Path: g.Webhook, Handle: func(_ context.Context, r *ingress.APIRequest) ingress.AdminResponse {
		if !signedBy(g.Secret, r) {
			return ingress.Problem(http.StatusUnauthorized, "not authentic")
		}
		// Checking takes longer than who calls would wait.
		e.jobs.Go(func() { _ = e.Pull(e.jobCtx) }) // logged
		return ingress.JSON(http.StatusAccepted, done)
	}}}
}

// signedBy reports whether a request proves to know the secret: with GitHub's
// signature of the body, or with GitLab's token.
func signedBy(secret string, r *ingress.APIRequest) bool {
	if secret == "" {
		return false
	}
	if token, once := r.Header("X-Gitlab-Token"); once {
		return subtle.ConstantTimeCompare([]byte(token), []byte(secret)) == 1
	}
	sig, once := r.Header("X-Hub-Signature-256")
	got, err := hex.DecodeString(strings.TrimPrefix(sig, "sha256="))
	if !once || err != nil || !strings.HasPrefix(sig, "sha256=") {
		return false
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(r.Body)
	return hmac.Equal(got, mac.Sum(nil))
}
