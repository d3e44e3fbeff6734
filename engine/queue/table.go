package queue

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// markHeader carries row.mark, so that list needs no data.
const markHeader = "Starling-Mark"

// streamTable is a table on a stream that keeps one message per subject.
type streamTable struct {
	link   *link
	stream string
	prefix string // of the subjects, with the dot at its end
	leader bool
}

// subject of a key: its namespace up to the first "/" and the rest are tokens
// of their own, in base64 because a token takes neither dots nor blanks.
func (t *streamTable) subject(key string) string {
	ns, rest, ok := strings.Cut(key, "/")
	if !ok {
		return t.prefix + token(key)
	}
	return t.prefix + token(ns) + "." + token(rest)
}

// "=" does not occur in unpadded base64: it stands for the empty text.
func token(s string) string {
	if s == "" {
		return "="
	}
	return base64.RawURLEncoding.EncodeToString([]byte(s))
}

func untoken(s string) (string, error) {
	if s == "=" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	return string(b), err
}

func (t *streamTable) key(subject string) (string, error) {
	first, second, ok := strings.Cut(strings.TrimPrefix(subject, t.prefix), ".")
	ns, err := untoken(first)
	if err != nil || !ok {
		return ns, err
	}
	rest, err := untoken(second)
	return ns + "/" + rest, err
}

func (t *streamTable) get(ctx context.Context, key string) (row, error) {
	r, err := t.link.fetch(ctx, t.stream, t.leader, map[string]any{"last_by_subj": t.subject(key)})
	r.key = key
	return r, err
}

func (t *streamTable) put(ctx context.Context, key string, data []byte, mark string, rev uint64, ttl time.Duration) (uint64, error) {
	m := &nats.Msg{Subject: t.subject(key), Data: data, Header: nats.Header{}}
	if mark != "" {
		m.Header[markHeader] = []string{mark}
	}
	if rev != anyRev {
		m.Header[jetstream.ExpectedLastSubjSeqHeader] = []string{strconv.FormatUint(rev, 10)}
	}
	if ttl > 0 {
		// Whole seconds, rounded up.
		m.Header[jetstream.MsgTTLHeader] = []string{strconv.FormatInt(int64((ttl+time.Second-1)/time.Second), 10)}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return t.link.publish(ctx, m)
}

func (t *streamTable) drop(ctx context.Context, key string) error {
	req, err := json.Marshal(map[string]string{"filter": t.subject(key)})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return t.link.purge(ctx, t.stream, req)
}

func (t *streamTable) dropAt(ctx context.Context, key string, rev uint64) error {
	// What is newer stays.
	req, err := json.Marshal(map[string]any{"filter": t.subject(key), "seq": rev + 1})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return t.link.purge(ctx, t.stream, req)
}

// filter is the subjects of the keys of a prefix.
func (t *streamTable) filter(prefix string) string {
	if ns, _, ok := strings.Cut(prefix, "/"); ok {
		return t.prefix + token(ns) + ".*"
	}
	return t.prefix + ">"
}

func (t *streamTable) list(ctx context.Context, prefix string, f func(row)) error {
	// A server that hangs is noticed in a lull (each); 100,000 rows take seconds.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	return t.each(ctx, prefix, nil, f)
}

func (t *streamTable) watch(ctx context.Context, prefix string, f func(row), all func()) error {
	return t.each(ctx, prefix, all, f)
}

// lull is how long each waits for a row before it asks whether there are more.
const lull = 100 * time.Millisecond

// each calls f with the newest rows and, if all is not nil, calls that, and f
// with those to come.
func (t *streamTable) each(ctx context.Context, prefix string, all func(), f func(row)) error {
	con, err := t.link.jet().OrderedConsumer(ctx, t.stream, jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{t.filter(prefix)}, DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: true,
		InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("list %s: %w: %w", t.stream, ErrUnavailable, err)
	}
	stay := all != nil
	whole := func() bool {
		if stay {
			all()
		}
		return true
	}
	seen := false
	if info := con.CachedInfo(); info == nil || info.NumPending == 0 {
		seen = whole()
	}
	if seen && !stay {
		return nil
	}
	it, err := con.Messages(jetstream.PullMaxMessages(4096), jetstream.PullHeartbeat(2*time.Second), jetstream.PullExpiry(5*time.Second))
	if err != nil {
		return fmt.Errorf("list %s: %w: %w", t.stream, ErrUnavailable, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for none := false; !seen || stay; {
		var m jetstream.Msg
		if seen {
			m, err = it.Next()
		} else {
			m, err = it.Next(jetstream.NextMaxWait(lull))
		}
		if !seen && errors.Is(err, nats.ErrTimeout) {
			// The last rows may have gone, or been written anew, since they were
			// counted. What was sent before the answer is here by the next look.
			if none {
				seen = whole()
				continue
			}
			if none, err = drained(ctx, con); err != nil {
				return fmt.Errorf("list %s: %w: %w", t.stream, ErrUnavailable, err)
			}
			continue
		}
		if err != nil {
			return fmt.Errorf("list %s: %w: %w", t.stream, ErrUnavailable, err)
		}
		none = false
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("list %s: %w", t.stream, err)
		}
		if key, err := t.key(m.Subject()); err == nil {
			f(row{key: key, mark: m.Headers().Get(markHeader), rev: meta.Sequence.Stream, at: meta.Timestamp})
		}
		if meta.NumPending == 0 && !seen {
			seen = whole()
		}
	}
	return nil
}

// drained reports whether nothing is left to be sent. An error tells that the
// consumer, or its server, is gone.
func drained(ctx context.Context, con jetstream.Consumer) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	info, err := con.Info(ctx)
	if err != nil {
		return false, err
	}
	return info.NumPending == 0, nil
}
