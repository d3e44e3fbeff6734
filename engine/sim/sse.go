package sim

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// keepAlive is how often a quiet stream shows that it lives.
const keepAlive = 15 * time.Second

// serveStream sends the change log as server-sent events: from the sequence
// number in Last-Event-ID or ?after, or from now. A reader that is too far
// behind gets a `reset` event and starts over from /sim/state.
func (s *Server) serveStream(w http.ResponseWriter, r *http.Request) {
	rc := http.NewResponseController(w)
	log := s.world.log
	from := or(r.Header.Get("Last-Event-ID"), r.URL.Query().Get("after"))
	seq, err := strconv.ParseInt(from, 10, 64)
	if err != nil {
		seq = log.last()
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	tick := time.NewTicker(keepAlive)
	defer tick.Stop()
	fmt.Fprint(w, "retry: 500\n\n")
	for {
		changes, more, ok := log.since(seq)
		if !ok {
			seq = log.last()
			fmt.Fprintf(w, "id: %d\nevent: reset\ndata: {}\n\n", seq)
		}
		for _, c := range changes {
			// JSON has no raw line breaks, so one data line holds it.
			fmt.Fprintf(w, "id: %d\nevent: change\ndata: {\"seq\":%d,\"kind\":%q,\"data\":%s}\n\n", c.Seq, c.Seq, c.Kind, c.Data)
			seq = c.Seq
		}
		if rc.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-s.out.ctx.Done():
			return
		case <-more:
		case <-tick.C:
			fmt.Fprint(w, ": alive\n\n")
		}
	}
}
