package rules

import (
	"path"
	"slices"
	"strings"
)

// Names knows what ids are called. Its methods never block: they answer from
// memory, with "" or false for what is not known (yet). Safe for concurrent use.
type Names interface {
	// ChannelName returns the name of a channel without "#".
	ChannelName(team, id string) string
	// UserName returns the name of a user without "@", and the e-mail address.
	UserName(team, id string) (name, email string)
	// TeamID returns the id of a team that the configuration names.
	TeamID(name string) (id string, ok bool)
}

// filter is the channels, users, teams and bots options of a rule, sorted into
// what is compared with what.
type filter struct {
	channelIDs, channelNames, channelGlobs []string
	userIDs, userNames, userMails          []string
	teams, bots                            []string
	botForm                                botForm
}

func newFilter(r *Rule, names Names) filter {
	var f filter
	for _, c := range r.Channels {
		name := strings.TrimPrefix(c, "#")
		switch {
		case channelID.MatchString(c):
			f.channelIDs = append(f.channelIDs, c)
		case strings.Contains(name, "*"):
			f.channelGlobs = append(f.channelGlobs, name)
		default:
			f.channelNames = append(f.channelNames, name)
		}
	}
	for _, u := range r.Users {
		switch {
		case strings.HasPrefix(u, "@"):
			f.userNames = append(f.userNames, u[1:])
		case strings.Contains(u, "@"):
			f.userMails = append(f.userMails, strings.ToLower(u))
		default:
			f.userIDs = append(f.userIDs, u)
		}
	}
	for _, t := range r.Teams {
		if names != nil && !teamID.MatchString(t) {
			if id, ok := names.TeamID(t); ok {
				t = id
			}
		}
		f.teams = append(f.teams, t)
	}
	f.bots, f.botForm = r.Bots, formOf(r.Bots)
	return f
}

// check says whether an event is in the place, and of the people, that a rule
// is for; and if not, what is wrong.
func (f *filter) check(s *subject) reason {
	switch {
	case !f.team(s):
		return otherTeam
	case !f.bot(s):
		return otherBot
	case !f.channel(s):
		return otherChannel
	case !f.user(s):
		return otherUser
	}
	return matched
}

// channel reports whether the filter admits the channel of the event.
func (f *filter) channel(s *subject) bool {
	if len(f.channelIDs)+len(f.channelNames)+len(f.channelGlobs) == 0 {
		return true
	}
	if slices.Contains(f.channelIDs, s.e.Channel) {
		return true
	}
	if len(f.channelNames)+len(f.channelGlobs) == 0 {
		return false
	}
	name := s.channelName()
	if name == "" {
		return false
	}
	return slices.Contains(f.channelNames, name) ||
		slices.ContainsFunc(f.channelGlobs, func(g string) bool { ok, _ := path.Match(g, name); return ok })
}

func (f *filter) user(s *subject) bool {
	if len(f.userIDs)+len(f.userNames)+len(f.userMails) == 0 {
		return true
	}
	if s.e.User != "" && slices.Contains(f.userIDs, s.e.User) || s.e.BotID != "" && slices.Contains(f.userIDs, s.e.BotID) {
		return true
	}
	if len(f.userNames)+len(f.userMails) == 0 {
		return false
	}
	name, mail := s.userName()
	return name != "" && slices.Contains(f.userNames, name) ||
		mail != "" && slices.Contains(f.userMails, strings.ToLower(mail))
}

func (f *filter) team(s *subject) bool {
	return len(f.teams) == 0 || s.e.Team != "" && slices.Contains(f.teams, s.e.Team) ||
		s.e.Enterprise != "" && slices.Contains(f.teams, s.e.Enterprise)
}

func (f *filter) bot(s *subject) bool {
	return len(f.bots) == 0 || s.e.Bot != "" && slices.Contains(f.bots, s.e.Bot) ||
		s.e.App != "" && (slices.Contains(f.bots, s.e.App) || slices.ContainsFunc(f.bots, s.appOf))
}

// appOf reports whether a bot is the event's, given as TEAM/APP: an app that is
// in several workspaces is another bot in each.
func (s *subject) appOf(bot string) bool {
	team, app, ok := strings.Cut(bot, "/")
	return ok && app == s.e.App && (team == s.e.Team || team != "" && team == s.e.Enterprise)
}

// disjoint reports whether two texts filters can never admit the same event.
func disjoint(a, b []string) bool {
	if len(a) == 0 || len(b) == 0 {
		return false
	}
	return !slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}
