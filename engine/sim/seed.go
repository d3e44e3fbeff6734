package sim

// Fixed credentials of the local Slack. They open nothing but a sim.Server,
// which listens on loopback addresses only; they are not secrets.
const (
	DevBotToken      = "xoxb-local-development"
	DevUserToken     = "xoxp-local-development"
	DevAppToken      = "xapp-local-development"
	DevSigningSecret = "local-development-signing-secret"
)

// slackbot is the user that speaks for Slack itself.
const slackbot = "USLACKBOT"

// Team is the workspace.
type Team struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain string `json:"domain"`
}

// App is the one app that is installed in the workspace.
type App struct {
	ID     string `json:"id"`
	BotID  string `json:"bot_id"`
	UserID string `json:"user_id"` // its bot user
	Name   string `json:"name"`
}

// Seed is what a new workspace holds. The app's bot user and Slackbot are
// added to Users by New if they are missing.
type Seed struct {
	Team     Team
	App      App
	Users    []User
	Channels []Channel
	Groups   []Usergroup
	Emoji    map[string]string // custom emoji: name to URL or "alias:name"
}

// Usergroup is a named group of users, mentioned as <!subteam^S…>.
type Usergroup struct {
	ID     string   `json:"id"`
	Handle string   `json:"handle"`
	Name   string   `json:"name"`
	Users  []string `json:"users"`
}

// DefaultSeed is the workspace of `starling dev`: three people, four
// channels, and a direct message of each person with the app.
func DefaultSeed() Seed {
	app := App{ID: "A0STARLING", BotID: "B0STARLING", UserID: "U0STARLING", Name: "starling"}
	people := []User{
		{ID: "U0ADA", Name: "ada", RealName: "Ada Lovelace", Email: "ada@example.com", TZ: "Europe/London", Color: "9f69e7", Admin: true},
		{ID: "U0GRACE", Name: "grace", RealName: "Grace Hopper", Email: "grace@example.com", TZ: "America/New_York", Color: "e7392d"},
		{ID: "U0LINUS", Name: "linus", RealName: "Linus Pauling", Email: "linus@example.com", TZ: "America/Los_Angeles", Color: "2b8a3e"},
	}
	everyone := []string{"U0ADA", "U0GRACE", "U0LINUS", app.UserID}
	s := Seed{
		Team:  Team{ID: "T0STARLING", Name: "Local Workspace", Domain: "local"},
		App:   app,
		Users: people,
		Channels: []Channel{
			{ID: "C0GENERAL", Name: "general", Topic: "Company-wide news", General: true, Members: everyone},
			{ID: "C0RANDOM", Name: "random", Topic: "Anything goes", Members: everyone},
			{ID: "C0OPS", Name: "ops", Topic: "Keeping things running", Members: everyone},
			{ID: "C0DEPLOYS", Name: "deploys", Topic: "What went out, and when", Members: everyone},
		},
		Groups: []Usergroup{{ID: "S0ONCALL", Handle: "oncall", Name: "On call", Users: []string{"U0GRACE"}}},
		Emoji:  map[string]string{"ship_it": "alias:rocket"},
	}
	for _, u := range people {
		s.Channels = append(s.Channels, Channel{ID: "D" + u.ID[1:], IM: true, Members: []string{u.ID, app.UserID}})
	}
	return s
}
