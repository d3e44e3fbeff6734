package engine_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/engine"
)

// deliver sends an event as Slack does, with further headers.
func (r *rig) deliver(body string, headers ...string) int {
	r.t.Helper()
	ts := strconv.FormatInt(time.Now().Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + ts + ":" + body))
	headers = append(headers, "Content-Type", jsonBody, "X-Slack-Request-Timestamp", ts, "X-Slack-Signature", "v0="+hex.EncodeToString(mac.Sum(nil)))
	return r.ask(http.MethodPost, "/slack/events", body, headers...).status
}

func TestLateDeliveriesRetriesAndWhatBecomesOfEventsAreMeasured(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a.star": `
def post_it(e):
    slack_action("chat.postMessage", channel = "C1", text = "seen")
    probe.see(text = e.text)
on.message("^seen", post_it, name = "seen")
`}
	r, _ := apiRig(t, 1, 1, files, func(o *engine.Options) { o.Config.Admin = "127.0.0.1:0" })
	now := strconv.FormatInt(time.Now().Unix(), 10) + ".000100"
	prompt := strings.ReplaceAll(string(message("1", "seen in time")), "1700000000."+pad("1"), now)
	for body, headers := range map[string][]string{
		prompt:                                   nil,
		string(message("2", "seen much later")):  {"X-Slack-Retry-Num", "1", "X-Slack-Retry-Reason", "http_timeout"},
		string(message("3", "not for any rule")): {"X-Slack-Retry-Num", "2", "X-Slack-Retry-Reason", "a reason of tomorrow"},
	} {
		if status := r.deliver(strings.ReplaceAll(body, `"api_app_id":"A1"`, `"api_app_id":"A11"`), headers...); status != http.StatusOK {
			t.Fatalf("got %d", status)
		}
	}
	r.wait(2)
	for _, want := range []string{
		`starling_event_retries_total{reason="http_timeout"} 1`,
		`starling_event_retries_total{reason="other"} 1`,
		`starling_delivery_lag_seconds_bucket{stage="received",le="60"} 1`,
		`starling_delivery_lag_seconds_count{stage="received"} 1`,
		`starling_delivery_lag_seconds_bucket{stage="received_again",le="900"} 0`,
		`starling_delivery_lag_seconds_count{stage="received_again"} 2`,
		`starling_delivery_lag_seconds_count{stage="taken"} 3`,
		`starling_events_matched_total{outcome="handled",type="message"} 2`,
		`starling_events_matched_total{outcome="ignored",type="message"} 1`,
		`starling_slack_calls_total{method="chat.postMessage",outcome="ok"} 2`,
		`starling_slack_seconds_count{method="chat.postMessage"} 2`,
		`starling_rule_runs_total{outcome="done",rule="a.star:seen"} 2`,
		`starling_rule_seconds_count{rule="a.star:seen"} 2`,
	} {
		until(t, func() bool { return strings.Contains(r.admin(http.MethodGet, "/metrics"), want) })
	}
	if log := r.log.String(); strings.Count(log, "Slack delivers late") != 1 || !strings.Contains(log, "retry_reason=") || strings.Contains(log, "much later") {
		t.Error("want one line about late deliveries, and no text in it")
	}
}
