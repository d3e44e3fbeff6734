package sim

import (
	"context"
	"slices"
	"strconv"
	"time"
)

// maxSchedule is how far ahead a message may be scheduled.
const maxSchedule = 120 * 24 * time.Hour

// scheduled is a message that is posted when the workspace's clock says so.
type scheduled struct {
	id, channel string
	postAt      int64
	created     int64
	message     Message
	drop        context.CancelFunc // ends the wait for its time
}

func chatScheduleMessage(c *call) (Block, error) {
	ch, err := c.speaker()
	if err != nil {
		return nil, err
	}
	m, err := c.content()
	if err != nil {
		return nil, err
	}
	m.ThreadTS = c.str("thread_ts")
	now := c.w.now()
	at, err := strconv.ParseInt(c.str("post_at"), 10, 64)
	switch {
	case err != nil:
		return nil, Code("invalid_time")
	case at <= now.Unix():
		return nil, Code("time_in_past")
	case at > now.Add(maxSchedule).Unix():
		return nil, Code("time_too_far")
	}
	ctx, cancel := context.WithCancel(c.s.out.ctx)
	p := &scheduled{id: c.w.newID("Q"), channel: ch.ID, postAt: at, created: now.Unix(), message: m, drop: cancel}
	c.w.scheduled = append(c.w.scheduled, p)
	c.s.out.later(func() { c.s.postLater(ctx, p) })
	shown := m.wire(true)
	delete(shown, "ts")
	return Block{"channel": ch.ID, "scheduled_message_id": p.id, "post_at": at, "message": shown}, nil
}

// postLater waits for the time of a scheduled message; the server's end or its
// deletion ends that.
func (s *Server) postLater(ctx context.Context, p *scheduled) {
	defer p.drop()
	now := s.now()
	if s.clock.sleep(ctx, now, time.Unix(p.postAt, 0).Sub(now)) != nil {
		return
	}
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	if ch := w.channel(p.channel); w.unschedule(p.id) && ch != nil && !ch.Archived {
		_, _ = w.post(ch, p.message)
	}
}

// unschedule reports whether there was a scheduled message of this id.
func (w *World) unschedule(id string) bool {
	n := len(w.scheduled)
	w.scheduled = slices.DeleteFunc(w.scheduled, func(p *scheduled) bool { return p.id == id })
	return len(w.scheduled) < n
}

func chatScheduledMessagesList(c *call) (Block, error) {
	var all []Block
	for _, p := range c.w.scheduled {
		if id := c.str("channel"); id == "" || id == p.channel {
			all = append(all, Block{"id": p.id, "channel_id": p.channel, "post_at": p.postAt, "date_created": p.created, "text": p.message.Text})
		}
	}
	page, next, err := paged(c, all, 100)
	if err != nil {
		return nil, err
	}
	return Block{"scheduled_messages": append([]Block{}, page...), "response_metadata": cursor(next)}, nil
}

func chatDeleteScheduledMessage(c *call) (Block, error) {
	if _, err := c.speaker(); err != nil {
		return nil, err
	}
	id := c.str("scheduled_message_id")
	for _, p := range c.w.scheduled {
		if p.id == id && p.channel == c.str("channel") {
			c.w.unschedule(id)
			p.drop()
			return Block{}, nil
		}
	}
	return nil, Code("invalid_scheduled_message_id")
}
