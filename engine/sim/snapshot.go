package sim

// maxShown bounds the messages of each channel in a snapshot.
const maxShown = 300

// Snapshot is everything the page shows, at the change Seq.
type Snapshot struct {
	Seq        int64                `json:"seq"`
	Team       Team                 `json:"team"`
	App        App                  `json:"app"`
	Connected  bool                 `json:"connected"` // an app takes deliveries
	Users      []User               `json:"users"`
	Groups     []Usergroup          `json:"groups"`
	Emoji      map[string]string    `json:"emoji"`
	Channels   []Channel            `json:"channels"`
	Messages   map[string][]Message `json:"messages"` // by channel; latest 300 of each
	Modals     map[string][]*View   `json:"modals"`   // by user
	Homes      map[string]*View     `json:"homes"`    // by user
	Catalog    Catalog              `json:"catalog"`
	Rules      RuleSheet            `json:"rules"`
	Helps      bool                 `json:"helps"` // rules and tests can be written for events
	Keeps      bool                 `json:"keeps"` // time lines of runs can be shown
	Faults     Faults               `json:"faults"`
	Clock      Clock                `json:"clock"`
	Subscribed Subscription         `json:"subscription"`
	Deliveries []Delivery           `json:"deliveries"`
	Calls      []Call               `json:"calls"`
	Events     []EventTrace         `json:"events"`
	Runs       []RunTrace           `json:"runs"`
}

// Snapshot copies the state. Nested blocks are shared and must not be changed.
func (s *Server) Snapshot() Snapshot {
	// The sequence number is read first: a change that is also in what
	// follows is applied twice by a reader, which does no harm.
	out := Snapshot{
		Seq: s.world.log.last(), Team: s.world.team, App: s.world.app, Connected: s.opt.EventsURL != "" || s.SocketConnections() > 0,
		Faults: s.Faults(), Clock: s.Clock(), Subscribed: s.Subscription(), Deliveries: latest(s.Deliveries(), maxHistory), Calls: latest(s.Calls(), maxHistory), Groups: s.world.groups, Emoji: s.world.emoji,
		Messages: map[string][]Message{}, Modals: map[string][]*View{}, Homes: map[string]*View{},
	}
	s.catalogMu.Lock()
	out.Catalog, out.Rules, out.Helps, out.Keeps = s.catalog, s.rules, s.helper != nil, s.keeper != nil
	s.catalogMu.Unlock()
	s.history.mu.Lock()
	out.Events = append([]EventTrace{}, s.history.events...)
	out.Runs = append([]RunTrace{}, s.history.runs...)
	s.history.mu.Unlock()
	w := s.world
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range w.users {
		out.Users = append(out.Users, *u)
	}
	for _, c := range w.channels {
		out.Channels = append(out.Channels, *c)
		list := w.messages[c.ID]
		list = list[max(0, len(list)-maxShown):]
		shown := make([]Message, len(list))
		for i, m := range list {
			shown[i] = *m
		}
		out.Messages[c.ID] = shown
	}
	for u, stack := range w.modals {
		out.Modals[u] = append([]*View{}, stack...)
	}
	for u, v := range w.homes {
		out.Homes[u] = v
	}
	return out
}
