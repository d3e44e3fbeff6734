package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Address implements Store.
func (s *JetStream) Address() string { return s.self }

func (s *JetStream) answers(address string) string { return s.o.Prefix + ".answer." + address }

// subscribe receives answers for this process.
func (s *JetStream) subscribe() error {
	_, err := s.link.conn().Subscribe(s.answers(s.self), func(m *nats.Msg) {
		r := reader{b: m.Data}
		id := string(r.bytes())
		if r.err == nil {
			s.receiveAnswer(id, r.b)
			_ = m.Respond(nil)
		}
	})
	if err != nil {
		return fmt.Errorf("receive answers: %w", err)
	}
	return nil
}

// answerTimeout bounds how long SendAnswer waits for the other process, which
// does no more than hand the answer on.
const answerTimeout = time.Second

// SendAnswer implements Store. It returns when the other process has the
// answer; ErrNotFound means that there is no such process any more.
func (s *JetStream) SendAnswer(ctx context.Context, address, id string, body []byte) error {
	if address == s.self {
		s.receiveAnswer(id, body)
		return nil
	}
	if address == "" || !prefixForm.MatchString(address) {
		return fmt.Errorf("send answer to %q: %w", address, ErrNotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	_, err := s.link.conn().RequestWithContext(ctx, s.answers(address), append(appendString(nil, id), body...))
	switch {
	case err == nil:
		return nil
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("send answer to %s: %w", address, ErrNotFound)
	}
	return fmt.Errorf("send answer: %w: %w", requestError(err), err)
}
