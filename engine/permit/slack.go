package permit

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// How long what Slack said is believed, and how long a failure to ask it.
const (
	believe = 5 * time.Minute
	retry   = 5 * time.Second
	maxKept = 20_000
)

// Slack is a Directory that asks Slack, through its look-ups, and remembers
// for a while. Forget tells it that something has changed.
type Slack struct {
	Client *slackapi.Client
	Now    func() time.Time

	mu   sync.Mutex
	kept map[string]fact
}

// fact is what Slack said, or why it could not be asked.
type fact struct {
	text  string
	users []string
	err   error
	until time.Time
}

// Member implements Directory.
func (s *Slack) Member(ctx context.Context, a Asker, group string, wait bool) (bool, error) {
	f := s.get(a.Team+"/"+a.Enterprise+"/group/"+group, wait, func() (f fact) {
		o := behalf(a)
		id, err := s.Client.UsergroupID(ctx, group, o)
		if err != nil {
			f.err = err
			return f
		}
		res, err := s.Client.Call(ctx, "usergroups.users.list", runtime.NewDict("usergroup", id), o)
		switch {
		case err != nil:
			f.err = err
			return f
		case !res.OK:
			f.err = errors.New(res.Error)
			return f
		}
		f.users, f.err = members(res.Body)
		return f
	})
	return f.err == nil && slices.Contains(f.users, a.User), f.err
}

func members(body runtime.JSON) ([]string, error) {
	v, err := runtime.ParseView(body)
	if err != nil {
		return nil, err
	}
	list, _ := v.Get("users")
	users, ok := list.(*runtime.View)
	if !ok || !users.IsList() {
		return nil, errors.New("the answer names no users")
	}
	out := make([]string, 0, users.Len())
	for i := range users.Len() {
		if id, ok := users.Index(i).(string); ok {
			out = append(out, id)
		}
	}
	return out, nil
}

// fields reads an object of Slack's, if it could be looked up.
func fields(obj runtime.JSON, err error) (*runtime.View, error) {
	if err != nil {
		return nil, err
	}
	return runtime.ParseView(obj)
}

// Email implements Directory.
func (s *Slack) Email(ctx context.Context, a Asker, wait bool) (string, error) {
	f := s.get(a.Team+"/"+a.Enterprise+"/user/"+a.User, wait, func() (f fact) {
		v, err := fields(s.Client.User(ctx, a.User, behalf(a)))
		if err != nil {
			f.err = err
			return f
		}
		p, _ := v.Get("profile")
		if profile, ok := p.(*runtime.View); ok {
			mail, _ := profile.Get("email")
			f.text, _ = mail.(string)
		}
		return f
	})
	return f.text, f.err
}

// Channel implements Directory.
func (s *Slack) Channel(ctx context.Context, a Asker, wait bool) (string, error) {
	f := s.get(a.Team+"/"+a.Enterprise+"/channel/"+a.Channel, wait, func() (f fact) {
		v, err := fields(s.Client.Channel(ctx, a.Channel, behalf(a)))
		if err != nil {
			f.err = err
			return f
		}
		name, _ := v.Get("name")
		f.text, _ = name.(string)
		return f
	})
	return f.text, f.err
}

func behalf(a Asker) slackapi.CallOptions {
	return slackapi.CallOptions{Team: a.Team, Enterprise: a.Enterprise, Bot: a.Bot}
}

func (s *Slack) get(key string, wait bool, ask func() fact) fact {
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	s.mu.Lock()
	f, ok := s.kept[key]
	s.mu.Unlock()
	if ok && now().Before(f.until) {
		return f
	}
	if !wait {
		return fact{err: ErrUnknown}
	}
	f = ask()
	if errors.Is(f.err, context.Canceled) || errors.Is(f.err, context.DeadlineExceeded) {
		return f
	}
	f.until = now().Add(believe)
	if f.err != nil {
		f.until = now().Add(retry)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= maxKept {
		s.kept = map[string]fact{}
	}
	s.kept[key] = f
	return f
}

// Forget drops what is known after an event of that type: Slack tells of
// changed groups, users and channels.
func (s *Slack) Forget(eventType string) {
	kind := ""
	switch {
	case strings.HasPrefix(eventType, "subteam_"):
		kind = "/group/"
	case eventType == "user_change", eventType == "user_profile_changed":
		kind = "/user/"
	case eventType == "channel_rename", eventType == "group_rename":
		kind = "/channel/"
	default:
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.kept {
		if strings.Contains(key, kind) {
			delete(s.kept, key)
		}
	}
}
