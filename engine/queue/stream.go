package queue

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Error codes of the server's answers that mean something here.
const (
	codeWrongLast    = 10071 // expected last sequence
	codeStreamFull   = 10077 // MaxBytes or MaxMsgs with DiscardNew
	codeResources    = 10023 // the server's own bound
	codeMsgTooLarge  = 10054
	codeWrongLastAlt = 10164
)

// streamLog is a log on a stream of one subject.
type streamLog struct {
	link    *link
	stream  string
	subject string
	leader  bool // single reads go to the leader: followers may lag
}

func (s *streamLog) append(ctx context.Context, data []byte, fence bool, expect uint64) (uint64, error) {
	m := &nats.Msg{Subject: s.subject, Data: data}
	if fence {
		m.Header = nats.Header{jetstream.ExpectedLastSeqHeader: []string{strconv.FormatUint(expect, 10)}}
	}
	return s.link.publish(ctx, m)
}

// publish stores a message and waits for the server's word on it.
func (l *link) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	reply, err := l.conn().RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("write to store: %w: %w", requestError(err), err)
	}
	if seq := plainAck(reply.Data); seq > 0 {
		return seq, nil
	}
	var ack struct {
		Seq   uint64    `json:"seq"`
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &ack); err != nil {
		return 0, fmt.Errorf("write to store: unreadable answer: %w", ErrUnavailable)
	}
	if ack.Error != nil {
		return 0, fmt.Errorf("write to store: %w", ack.Error.known())
	}
	if ack.Seq == 0 {
		return 0, fmt.Errorf("write to store: answer without a sequence: %w", ErrUnavailable)
	}
	return ack.Seq, nil
}

// plainAck reads the server's usual answer, {"stream":"…", "seq":7}, at a
// fraction of the cost of a JSON decoder; 0 if it is anything else.
func plainAck(b []byte) (seq uint64) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"stream":"`))
	if !ok {
		return 0
	}
	_, rest, ok = bytes.Cut(rest, []byte{'"'})
	if !ok {
		return 0
	}
	rest = bytes.TrimLeft(bytes.TrimPrefix(rest, []byte{','}), " ")
	digits, ok := bytes.CutPrefix(rest, []byte(`"seq":`))
	if !ok || !bytes.HasSuffix(digits, []byte{'}'}) {
		return 0
	}
	seq, err := strconv.ParseUint(string(digits[:len(digits)-1]), 10, 64)
	if err != nil {
		return 0
	}
	return seq
}

type apiError struct {
	Code        int    `json:"code"`
	ErrCode     int    `json:"err_code"`
	Description string `json:"description"`
}

func (e *apiError) known() error {
	kind := ErrUnavailable
	switch e.ErrCode {
	case codeWrongLast, codeWrongLastAlt:
		kind = errConflict
	case codeStreamFull, codeResources:
		kind = ErrFull
	case codeMsgTooLarge:
		kind = ErrTooLarge
	}
	return fmt.Errorf("%w: %s (%d)", kind, e.Description, e.ErrCode)
}

func requestError(err error) error {
	if errors.Is(err, nats.ErrMaxPayload) {
		return ErrTooLarge
	}
	return ErrUnavailable
}

func (s *streamLog) get(ctx context.Context, seq uint64) (message, error) {
	r, err := s.link.fetch(ctx, s.stream, s.leader, map[string]any{"seq": seq})
	return message{seq: r.rev, at: r.at, data: r.data}, err
}

// fetch reads one message, from any replica or from the leader.
func (l *link) fetch(ctx context.Context, stream string, leader bool, what map[string]any) (row, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := json.Marshal(what)
	if err != nil {
		return row{}, fmt.Errorf("read from store: %w", err)
	}
	api := "$JS.API.DIRECT.GET."
	if leader {
		api = "$JS.API.STREAM.MSG.GET."
	}
	reply, err := l.conn().RequestWithContext(ctx, api+stream, req)
	if err != nil {
		return row{}, fmt.Errorf("read from store: %w: %w", ErrUnavailable, err)
	}
	if leader {
		return apiMessage(reply.Data)
	}
	return directMessage(reply)
}

func apiMessage(b []byte) (row, error) {
	var answer struct {
		Error   *apiError `json:"error"`
		Message struct {
			Seq  uint64    `json:"seq"`
			Hdrs []byte    `json:"hdrs"`
			Data []byte    `json:"data"`
			Time time.Time `json:"time"`
		} `json:"message"`
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		return row{}, fmt.Errorf("read from store: %w", err)
	}
	if e := answer.Error; e != nil {
		if e.Code == 404 {
			return row{}, ErrNotFound
		}
		return row{}, fmt.Errorf("read from store: %w", e.known())
	}
	r := row{data: answer.Message.Data, rev: answer.Message.Seq, at: answer.Message.Time}
	if len(answer.Message.Hdrs) > 0 {
		h, err := nats.DecodeHeadersMsg(answer.Message.Hdrs)
		if err != nil {
			return row{}, fmt.Errorf("read from store: %w", err)
		}
		r.mark = h.Get(markHeader)
	}
	return r, nil
}

func directMessage(m *nats.Msg) (row, error) {
	if status := m.Header.Get("Status"); status != "" {
		if status == "404" {
			return row{}, ErrNotFound
		}
		return row{}, fmt.Errorf("read from store: %w: status %s %s", ErrUnavailable, status, m.Header.Get("Description"))
	}
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return row{}, fmt.Errorf("read from store: no sequence in the answer: %w", ErrUnavailable)
	}
	r := row{data: m.Data, rev: seq, mark: m.Header.Get(markHeader)}
	if at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer)); err == nil {
		r.at = at
	}
	return r, nil
}

// scanPart is how much one request of scan asks for.
const (
	scanMessages = 4096
	scanBytes    = 16 << 20
	scanPatience = 10 * time.Second
)

func (s *streamLog) scan(ctx context.Context, from, to uint64, f func(message) error) error {
	last := time.Now()
	for from <= to {
		next, err := s.scanPart(ctx, from, to, f)
		if err != nil {
			return err
		}
		if next > from {
			from, last = next, time.Now()
			continue
		}
		// A replica may lag behind the leader that said there is more.
		if time.Since(last) > scanPatience {
			return fmt.Errorf("read stream %s from %d to %d: no answer: %w", s.stream, from, to, ErrUnavailable)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
	return nil
}

// scanPart reads a stretch and returns the sequence after it. It asks for the
// messages without headers, whose parsing costs more than all the rest; a
// stream has no holes but for damage, and when the count says so the stretch is
// read once more with the sequence of each message.
func (s *streamLog) scanPart(ctx context.Context, from, to uint64, f func(message) error) (uint64, error) {
	msgs, last, err := s.stretch(ctx, from, to, true)
	if err == nil && len(msgs) > 0 && last != from+uint64(len(msgs))-1 {
		msgs, _, err = s.stretch(ctx, from, to, false)
	}
	if err != nil {
		return from, err
	}
	if len(msgs) == 0 && last == to && !s.leader {
		return to + 1, nil // the only copy has lost its end
	}
	for i, m := range msgs {
		if m.seq == 0 {
			m.seq = from + uint64(i)
		}
		if m.seq > to {
			return to + 1, nil
		}
		if err := f(m); err != nil {
			return from, err
		}
		msgs[i] = message{seq: m.seq}
	}
	if len(msgs) > 0 {
		from = msgs[len(msgs)-1].seq + 1
	}
	return from, nil
}

// stretch asks for messages from a sequence on; last is the server's word on
// the last one it sent. Bare messages carry neither sequence nor time.
func (s *streamLog) stretch(ctx context.Context, from, to uint64, bare bool) (msgs []message, last uint64, err error) {
	nc := s.link.conn()
	inbox := nc.NewRespInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil, 0, fmt.Errorf("read stream %s: %w: %w", s.stream, ErrUnavailable, err)
	}
	defer func() { _ = sub.Unsubscribe() }()
	_ = sub.SetPendingLimits(-1, -1)
	req := fmt.Appendf(nil, `{"seq":%d,"batch":%d,"max_bytes":%d,"no_hdr":%v}`, from, min(scanMessages, to-from+1), scanBytes, bare)
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+s.stream, inbox, req); err != nil {
		return nil, 0, fmt.Errorf("read stream %s: %w: %w", s.stream, ErrUnavailable, err)
	}
	wait, cancel := context.WithTimeout(ctx, scanPatience)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(wait)
		if err != nil {
			return nil, 0, fmt.Errorf("read stream %s: %w: %w", s.stream, ErrUnavailable, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "204": // the end of this batch
			last, _ = strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
			return msgs, last, nil
		case "404": // nothing there
			return nil, to, nil
		case "503": // a leader is being elected
			return nil, 0, nil
		case "":
		default:
			return nil, 0, fmt.Errorf("read stream %s: %w: status %s", s.stream, ErrUnavailable, status)
		}
		if len(m.Header) == 0 {
			msgs = append(msgs, message{data: m.Data})
			continue
		}
		r, err := directMessage(m)
		if err != nil {
			return nil, 0, err
		}
		msgs = append(msgs, message{seq: r.rev, at: r.at, data: r.data})
	}
}

func (s *streamLog) bounds(ctx context.Context) (first, last uint64, bytes int64, err error) {
	st, err := s.link.jet().Stream(ctx, s.stream)
	if err != nil {
		return 0, 0, 0, fmt.Errorf("look up stream %s: %w: %w", s.stream, ErrUnavailable, err)
	}
	state := st.CachedInfo().State
	first = state.FirstSeq
	if state.Msgs == 0 {
		first = state.LastSeq + 1
	}
	return first, state.LastSeq, int64(state.Bytes), nil
}

func (s *streamLog) purge(ctx context.Context, seq uint64) error {
	if seq <= 1 {
		return nil
	}
	return s.link.purge(ctx, s.stream, fmt.Appendf(nil, `{"seq":%d}`, seq))
}

func (l *link) purge(ctx context.Context, stream string, req []byte) error {
	reply, err := l.conn().RequestWithContext(ctx, "$JS.API.STREAM.PURGE."+stream, req)
	if err != nil {
		return fmt.Errorf("purge stream %s: %w: %w", stream, ErrUnavailable, err)
	}
	var answer struct {
		Error *apiError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return fmt.Errorf("purge stream %s: %w", stream, err)
	}
	if answer.Error != nil {
		return fmt.Errorf("purge stream %s: %w", stream, answer.Error.known())
	}
	return nil
}

// watch follows the stream; it recreates what a lost connection took away.
func (s *streamLog) watch(ctx context.Context, from uint64, f func(message)) error {
	con, err := s.link.jet().OrderedConsumer(ctx, s.stream, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
		InactiveThreshold: 30 * time.Second,
	})
	if err != nil {
		return fmt.Errorf("watch stream %s: %w", s.stream, err)
	}
	it, err := con.Messages(jetstream.PullHeartbeat(2*time.Second), jetstream.PullExpiry(5*time.Second))
	if err != nil {
		return fmt.Errorf("watch stream %s: %w", s.stream, err)
	}
	defer it.Stop()
	stop := context.AfterFunc(ctx, it.Stop)
	defer stop()
	for {
		m, err := it.Next()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("watch stream %s: %w", s.stream, err)
		}
		meta, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("watch stream %s: %w", s.stream, err)
		}
		f(message{seq: meta.Sequence.Stream, at: meta.Timestamp, data: m.Data()})
	}
}
