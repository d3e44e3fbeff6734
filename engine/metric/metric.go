// Package metric declares every Prometheus metric of Starling once (SPEC §14).
// No label holds a user, a channel, a URL or a text.
package metric

import (
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Set is the metrics of one engine, on a registry of its own so that several
// engines can live in one process. Safe for concurrent use.
type Set struct {
	Registry *prometheus.Registry

	Events    *prometheus.CounterVec   // type, transport, outcome: stored duplicate refused full
	Ack       *prometheus.HistogramVec // transport: seconds from the first byte to the answer
	Runs      *prometheus.CounterVec   // rule, outcome
	RunTime   *prometheus.HistogramVec // rule: seconds from start to outcome
	Steps     *prometheus.CounterVec   // rule
	Effects   *prometheus.CounterVec   // kind, outcome: ok error refused replayed
	Lag       *prometheus.HistogramVec // stage: seconds from event_ts to received, received_again, taken
	Retries   *prometheus.CounterVec   // reason that Slack gave
	Strangers *prometheus.CounterVec   // type of event: nobody has installed the app where it comes from
	Matched   *prometheus.CounterVec   // type, outcome: handled defaulted ignored
	SlackTime *prometheus.HistogramVec // method: seconds, waits for rate limits included
	Slack     *prometheus.CounterVec   // method, outcome: ok or Slack's error code
	HTTP      *prometheus.CounterVec   // method, outcome: status class or error
	Throttled *prometheus.CounterVec   // method
	Tokens    *prometheus.CounterVec   // what: start install refresh exchange revoke; outcome: ok or an error code
	Socket    *prometheus.CounterVec   // state: what happened to a connection of Socket Mode
	Reloads   *prometheus.CounterVec   // outcome: ok error
	FileErrs  prometheus.Gauge         // rule files whose newest version has an error
	Rules     prometheus.Gauge         // rules loaded
	SlowRules prometheus.Gauge         // message rules without a literal to index by
	Waiting   prometheus.Gauge         // runs that wait
	Limits    *prometheus.CounterVec   // rule, limit: its name, or crash
	Tripped   *prometheus.CounterVec   // rule
	Firings   *prometheus.CounterVec   // rule, outcome: fired skipped missed off
	// What scripts keep: script is its path, "shared" for what all share.
	KVKeys    *prometheus.GaugeVec   // script
	KVBytes   *prometheus.GaugeVec   // script
	KVRefused *prometheus.CounterVec // script, limit: kv_keys or kv_bytes
}

// New makes the metrics and registers them with Go's own and the process's.
func New(version string) *Set {
	r := prometheus.NewRegistry()
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "starling_" + name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	gauge := func(name, help string) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "starling_" + name, Help: help})
		r.MustRegister(g)
		return g
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "starling_" + name, Help: help, Buckets: buckets}, labels)
		r.MustRegister(h)
		return h
	}
	gauges := func(name, help string, labels ...string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "starling_" + name, Help: help}, labels)
		r.MustRegister(g)
		return g
	}
	// What is alive is the only word on a leak where the collector has room.
	live := collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile("^/gc/heap/live:bytes$")}
	r.MustRegister(collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(live)), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "starling_build_info", Help: "Always 1; the version is in the label."}, []string{"version"})
	build.WithLabelValues(version).Set(1)
	r.MustRegister(build)
	fast := []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
	slow := []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900}
	return &Set{
		Registry:  r,
		Events:    counter("events_total", "Events that arrived.", "type", "transport", "outcome"),
		Ack:       histogram("ack_seconds", "Time from receiving an event to answering it.", fast, "transport"),
		Runs:      counter("rule_runs_total", "Runs that ended.", "rule", "outcome"),
		RunTime:   histogram("rule_seconds", "Time from the start of a run to its outcome.", slow, "rule"),
		Steps:     counter("rule_steps_total", "Interpreter steps.", "rule"),
		Effects:   counter("effects_total", "Effects that runs asked for.", "kind", "outcome"),
		Lag:       histogram("delivery_lag_seconds", "Time from what happened at Slack to its arrival, and to when it is taken up.", slow, "stage"),
		Strangers: counter("events_not_installed_total", "Events that were refused because nobody has installed the app where they come from.", "type"),
		Retries:   counter("event_retries_total", "Deliveries that Slack repeated, by its reason.", "reason"),
		Matched:   counter("events_matched_total", "Events that were taken up, and whether any rule was for them.", "type", "outcome"),
		SlackTime: histogram("slack_seconds", "Time that a call of Slack's Web API took, waits for rate limits included.", slow, "method"),
		Slack:     counter("slack_calls_total", "Calls of Slack's Web API.", "method", "outcome"),
		HTTP:      counter("http_calls_total", "HTTP requests of scripts.", "method", "outcome"),
		Throttled: counter("throttled_total", "Slack answers with status 429.", "method"),
		Reloads:   counter("reloads_total", "Reloads of the rules.", "outcome"),
		FileErrs:  gauge("rule_file_errors", "Rule files whose newest version has an error."),
		Tokens:    counter("token_changes_total", "What was done about tokens: installations, renewals, revocations.", "what", "outcome"),
		Socket:    counter("socket_events_total", "What happened to connections of Socket Mode.", "state"),
		Rules:     gauge("rules", "Rules loaded."),
		SlowRules: gauge("rules_unindexed", "Message rules without a literal text to index by: they are tried on every message."),
		Waiting:   gauge("waiting_runs", "Runs that wait for an effect, a person or a time."),
		Limits:    counter("limit_breaches_total", "Runs that exceeded a limit, or that their worker did not survive.", "rule", "limit"),
		Tripped:   counter("rule_switched_off_total", "How often a rule was switched off for exceeding its limits in a row.", "rule"),
		Firings:   counter("schedule_firings_total", "Times at which a schedule was due.", "rule", "outcome"),
		KVKeys:    gauges("kv_keys", "Keys that a script keeps, as of its last write.", "script"),
		KVBytes:   gauges("kv_bytes", "Bytes of the keys and values that a script keeps, as of its last write.", "script"),
		KVRefused: counter("kv_refused_total", "Writes that were refused because a script would keep too much.", "script", "limit"),
	}
}

// Func registers a gauge whose value is read at scrape time.
func (s *Set) Func(name, help string, value func() float64) {
	s.Registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "starling_" + name, Help: help}, value))
}
