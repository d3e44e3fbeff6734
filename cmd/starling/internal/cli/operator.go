package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/backup"
	"github.com/starling-rules/starling/engine/breaker"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/stdlib"
)

// operator is what runs, queue and rules ask; the running server answers, or the
// store itself when no server holds it.
type operator interface {
	Runs(ctx context.Context, limit int) ([]dispatch.EventReport, error)
	Run(ctx context.Context, id string) (dispatch.EventReport, error)
	WaitingRuns(ctx context.Context, f engine.RunFilter) ([]engine.WaitingRun, error)
	WaitingVersions(ctx context.Context, f engine.RunFilter) ([]engine.VersionReport, error)
	Act(ctx context.Context, verb, id string, step int, req *engine.RunRequest) (engine.Acted, error)
	Queue(ctx context.Context, limit int) (engine.QueueReport, error)
	Dead(ctx context.Context, limit int) ([]dispatch.EventReport, error)
	Retry(ctx context.Context, id string) error
	Drop(ctx context.Context, id string) error
	Rules(ctx context.Context) ([]engine.RuleReport, error)
	RulesOff(ctx context.Context) ([]breaker.Switch, error)
	EnableRule(ctx context.Context, id string) error
	DisableRule(ctx context.Context, id, reason string) error
	Schedules(ctx context.Context) ([]engine.ScheduleReport, error)
	Cache(ctx context.Context, team string) (engine.CacheReport, error)
	PurgeCache(ctx context.Context, team string) (engine.PurgeReport, error)
	State() backup.Target
	Installations() engine.Installer
}

// withOperator calls use with the admin API of the running server, or with
// the store if nothing listens there. It creates no store.
func (c *command) withOperator(ctx context.Context, cfg *config.Config, use func(operator) error) error {
	err := use(&adminClient{base: "http://" + cfg.Admin})
	nobody := errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ECONNRESET) // reset: it ends just now
	if !nobody || (cfg.Data == "" && cfg.Queue.URL == "") {
		return err
	}
	if _, statErr := os.Stat(cfg.Data); cfg.Queue.URL == "" && statErr != nil {
		return withCode(ExitStart, fmt.Errorf("no server answers on %s, and there is no data directory %s (--admin and --data name them)", cfg.Admin, cfg.Data))
	}
	store, err := engine.OpenStore(ctx, cfg, nil)
	if errors.Is(err, queue.ErrLocked) {
		return withCode(ExitStart, fmt.Errorf("%w: if it is a server, name its admin address with --admin (nobody answers on %s)", err, cfg.Admin))
	}
	if err != nil {
		return withCode(ExitStart, err)
	}
	off := breaker.New(breaker.Options{State: store.State(), Now: c.env.Now})
	if err := off.Load(ctx); err != nil {
		return withCode(ExitStart, errors.Join(err, store.Close(ctx)))
	}
	onDisk := sync.OnceValues(func() (*rules.Set, error) { return c.rulesOnDisk(ctx, cfg) })
	err = use(&engine.Operator{
		Store: store, Now: c.env.Now, Breaker: off, Teams: cfg.Teams, Secrets: cfg.SecretValues, Config: cfg,
		Set: func(context.Context) (*rules.Set, error) { return onDisk() },
	})
	off.Close(ctx)
	return errors.Join(err, store.Close(ctx))
}

// rulesOnDisk loads the rules as a server would. What does not load is for
// starling check to say.
func (c *command) rulesOnDisk(ctx context.Context, cfg *config.Config) (*rules.Set, error) {
	lib, err := stdlib.Library()
	if err != nil {
		return nil, withCode(ExitStart, err)
	}
	set, err := engine.LoadRules(ctx, engine.Options{
		Config: cfg, Library: lib, Pool: c.pool(cfg, slog.New(slog.DiscardHandler)), Scripts: library(), Now: c.env.Now,
	})
	return set, withCode(ExitStart, err)
}

// adminClient asks a running server.
type adminClient struct{ base string }

func (a *adminClient) Runs(ctx context.Context, limit int) (out []dispatch.EventReport, err error) {
	return out, a.get(ctx, "/runs?limit="+strconv.Itoa(limit), &out)
}

func (a *adminClient) Run(ctx context.Context, id string) (out dispatch.EventReport, err error) {
	return out, a.get(ctx, "/runs/"+url.PathEscape(id), &out)
}

func (a *adminClient) WaitingRuns(ctx context.Context, f engine.RunFilter) (out []engine.WaitingRun, err error) {
	q := filterQuery(f)
	q.Set("state", string(dispatch.Waiting))
	q.Set("limit", strconv.Itoa(f.Limit))
	return out, a.get(ctx, "/runs?"+q.Encode(), &out)
}

func (a *adminClient) WaitingVersions(ctx context.Context, f engine.RunFilter) (out []engine.VersionReport, err error) {
	return out, a.get(ctx, "/runs/versions?"+filterQuery(f).Encode(), &out)
}

func filterQuery(f engine.RunFilter) url.Values {
	return url.Values{"rule": {f.Rule}, "script": {f.Script}, "version": {f.Version}}
}

func (a *adminClient) Act(ctx context.Context, verb, id string, step int, req *engine.RunRequest) (out engine.Acted, err error) {
	path := "/runs/" + url.PathEscape(id) + "/" + verb
	if step > 0 {
		path += "?step=" + strconv.Itoa(step)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return out, err
	}
	return out, a.send(ctx, http.MethodPost, path, body, &out)
}

func (a *adminClient) Queue(ctx context.Context, limit int) (out engine.QueueReport, err error) {
	return out, a.get(ctx, "/queue?limit="+strconv.Itoa(limit), &out)
}

func (a *adminClient) Dead(ctx context.Context, limit int) (out []dispatch.EventReport, err error) {
	return out, a.get(ctx, "/queue/dead?limit="+strconv.Itoa(limit), &out)
}

func (a *adminClient) Retry(ctx context.Context, id string) error {
	return a.do(ctx, http.MethodPost, "/queue/retry/"+url.PathEscape(id), nil)
}

func (a *adminClient) Drop(ctx context.Context, id string) error {
	return a.do(ctx, http.MethodPost, "/queue/drop/"+url.PathEscape(id), nil)
}

func (a *adminClient) Rules(ctx context.Context) ([]engine.RuleReport, error) {
	var out struct{ List []engine.RuleReport }
	err := a.get(ctx, "/rules", &out)
	return out.List, err
}

// RuleFiles tells of each file, and what is wrong with it.
func (a *adminClient) RuleFiles(ctx context.Context) ([]rules.FileStatus, error) {
	var out struct{ Files []rules.FileStatus }
	err := a.get(ctx, "/rules", &out)
	return out.Files, err
}

func (a *adminClient) RulesOff(ctx context.Context) (out []breaker.Switch, err error) {
	return out, a.get(ctx, "/rules/off", &out)
}

func (a *adminClient) EnableRule(ctx context.Context, id string) error {
	return a.do(ctx, http.MethodPost, "/rules/enable/"+url.PathEscape(id), nil)
}

func (a *adminClient) DisableRule(ctx context.Context, id, reason string) error {
	return a.do(ctx, http.MethodPost, "/rules/disable/"+url.PathEscape(id)+"?reason="+url.QueryEscape(reason), nil)
}

func (a *adminClient) Cache(ctx context.Context, team string) (out engine.CacheReport, err error) {
	return out, a.get(ctx, "/cache?team="+url.QueryEscape(team), &out)
}

func (a *adminClient) PurgeCache(ctx context.Context, team string) (out engine.PurgeReport, err error) {
	return out, a.do(ctx, http.MethodPost, "/cache/purge?team="+url.QueryEscape(team), &out)
}

func (a *adminClient) get(ctx context.Context, path string, out any) error {
	return a.do(ctx, http.MethodGet, path, out)
}

func (a *adminClient) do(ctx context.Context, method, path string, out any) error {
	return a.send(ctx, method, path, nil, out)
}

func (a *adminClient) send(ctx context.Context, method, path string, send []byte, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, bytes.NewReader(send))
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{Timeout: 2 * time.Second}).DialContext, DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return fmt.Errorf("read the server's answer: %w", err)
	}
	switch {
	case res.StatusCode == http.StatusNotFound:
		return withCode(ExitBad, queue.ErrNotFound)
	case res.StatusCode == http.StatusConflict, res.StatusCode == http.StatusUnprocessableEntity:
		var problem struct{ Error string }
		if json.Unmarshal(body, &problem) == nil && problem.Error != "" {
			return withCode(ExitBad, errors.New(problem.Error))
		}
		fallthrough
	case res.StatusCode != http.StatusOK:
		return withCode(ExitBad, fmt.Errorf("server answered %s: %.200s", res.Status, body))
	case out == nil:
		return nil
	}
	return json.Unmarshal(body, out)
}
