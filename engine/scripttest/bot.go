package scripttest

import (
	"fmt"

	"github.com/starling-rules/starling/engine/omnibot"
	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// addressee is the team and the app that an event is for: what the test names,
// else the first of the configured bots, the primary one of its team before
// others; without any the test's own.
func (w *world) addressee(a *runtime.Args) (team, app string) {
	list := w.s.cfg.BotList()
	wanted := a.Text("bot")
	if a.Text("team") != "" {
		team = w.team(a)
	}
	for _, b := range list {
		primary := w.s.cfg.PrimaryBot[b.Team]
		switch {
		case team != "" && b.TeamID != team:
		case wanted != "" && b.Name != wanted, wanted == "" && primary != "" && b.Name != primary:
		default:
			return b.TeamID, b.App
		}
	}
	if team == "" {
		team = teamID
	}
	return team, appID
}

// handlers makes the script of the configuration's handlers, if it is under test.
func (s *suite) handlers(has func(string) bool) []rules.Virtual {
	return omnibot.Scripts(s.cfg.Config, has, s.r.o.Scripts)
}

// isHandlers reports whether a name is that of the configuration whose handlers
// are to be tested.
func (s *suite) isHandlers(name string) (bool, error) {
	if name != omnibot.Path(s.cfg.Config) {
		return false, nil
	}
	if len(s.cfg.Handlers.All()) == 0 && s.cfg.Handlers.Help == nil {
		return false, fmt.Errorf("%s has no handlers", name)
	}
	return true, nil
}
