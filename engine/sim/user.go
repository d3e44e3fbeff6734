package sim

// User is a person, a bot user, or Slackbot.
type User struct {
	ID       string `json:"id"`
	Name     string `json:"name"`
	RealName string `json:"real_name"`
	Email    string `json:"email,omitempty"`
	TZ       string `json:"tz,omitempty"`
	Color    string `json:"color,omitempty"` // RRGGBB
	Admin    bool   `json:"is_admin,omitempty"`
	Bot      bool   `json:"is_bot,omitempty"`
	BotID    string `json:"bot_id,omitempty"`
	AppID    string `json:"app_id,omitempty"`
}

// person reports whether one may act as the user.
func (u *User) person() bool { return !u.Bot && u.ID != slackbot }

func (w *World) user(id string) *User {
	for _, u := range w.users {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// actor returns the person who acts.
func (w *World) actor(id string) (*User, error) {
	u := w.user(id)
	if u == nil || !u.person() {
		return nil, Code("user_not_found")
	}
	return u, nil
}

// wire is the user as the Web API shows it.
func (u *User) wire(team string) Block {
	return Block{
		"id": u.ID, "team_id": team, "name": u.Name, "deleted": false, "color": u.Color,
		"real_name": u.RealName, "tz": u.TZ, "tz_label": u.TZ, "tz_offset": 0,
		"is_admin": u.Admin, "is_owner": u.Admin, "is_primary_owner": u.Admin,
		"is_restricted": false, "is_ultra_restricted": false, "is_bot": u.Bot, "is_app_user": false, "updated": 0,
		"profile": Block{
			"real_name": u.RealName, "real_name_normalized": u.RealName,
			"display_name": u.Name, "display_name_normalized": u.Name,
			"email": u.Email, "team": team, "title": "", "phone": "", "status_text": "", "status_emoji": "",
			"bot_id": u.BotID, "api_app_id": u.AppID,
		},
	}
}
