package queue

import (
	"context"
	"fmt"

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
		}
	})
	if err != nil {
		return fmt.Errorf("receive answers: %w", err)
	}
	return nil
}

// SendAnswer implements Store. Nobody may be listening any more.
func (s *JetStream) SendAnswer(_ context.Context, address, id string, body []byte) error {
	if address == s.self {
		s.receiveAnswer(id, body)
		return nil
	}
	if address == "" || !prefixForm.MatchString(address) {
		return fmt.Errorf("send answer to %q: %w", address, ErrNotFound)
	}
	b := append(appendString(nil, id), body...)
	if err := s.link.conn().Publish(s.answers(address), b); err != nil {
		return fmt.Errorf("send answer: %w: %w", requestError(err), err)
	}
	return nil
}
