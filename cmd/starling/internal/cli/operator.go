package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/starling-rules/starling/engine"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/queue"
)

// operator is what runs and queue ask; the running server answers, or the
// store itself when no server holds it.
type operator interface {
	Runs(ctx context.Context, limit int) ([]dispatch.EventReport, error)
	Run(ctx context.Context, id string) (dispatch.EventReport, error)
	Queue(ctx context.Context, limit int) (engine.QueueReport, error)
	Dead(ctx context.Context, limit int) ([]dispatch.EventReport, error)
	Retry(ctx context.Context, id string) error
	Drop(ctx context.Context, id string) error
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
	err = use(&engine.Operator{Store: store, Now: c.env.Now})
	return errors.Join(err, store.Close(ctx))
}

// adminClient asks a running server.
type adminClient struct{ base string }

func (a *adminClient) Runs(ctx context.Context, limit int) (out []dispatch.EventReport, err error) {
	return out, a.get(ctx, "/runs?limit="+strconv.Itoa(limit), &out)
}

func (a *adminClient) Run(ctx context.Context, id string) (out dispatch.EventReport, err error) {
	return out, a.get(ctx, "/runs/"+url.PathEscape(id), &out)
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

func (a *adminClient) get(ctx context.Context, path string, out any) error {
	return a.do(ctx, http.MethodGet, path, out)
}

func (a *adminClient) do(ctx context.Context, method, path string, out any) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, a.base+path, nil)
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
	case res.StatusCode != http.StatusOK:
		return withCode(ExitBad, fmt.Errorf("server answered %s: %.200s", res.Status, body))
	case out == nil:
		return nil
	}
	return json.Unmarshal(body, out)
}
