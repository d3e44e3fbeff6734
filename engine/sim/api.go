package sim

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Call is one request of the app, for the page and for tests: of the Web API,
// or to a response URL ("response_url"), an upload URL ("upload") or a socket's
// ("link"). The token is not among Args.
type Call struct {
	// Verb is the method of HTTP, Via what the arguments came in (query, form,
	// json, multipart), Auth where the token was (header, body, "" for none).
	Verb string `json:"verb"`
	Via  string `json:"via"`
	Auth string `json:"auth,omitempty"`

	Method string    `json:"method"`
	Args   Block     `json:"args"`
	Status int       `json:"status"`
	OK     bool      `json:"ok"`
	Error  string    `json:"error,omitempty"`
	At     time.Time `json:"at"`
	Ms     float64   `json:"ms"`
}

// call is what a method works on. The world is locked while it does.
type call struct {
	args
	w    *World
	s    *Server
	user string // whom the token speaks for
	bot  bool   // it is the app's bot
}

// method answers one call; an error is a Code or an *Invalid.
type method func(c *call) (Block, error)

// methods lists the Web API as far as the sim speaks it.
var methods = map[string]method{
	"api.test": apiTest, "auth.test": authTest, "bots.info": botsInfo, "team.info": teamInfo,
	"emoji.list": emojiList, "usergroups.list": usergroupsList, "usergroups.users.list": usergroupsUsersList,
	"users.list": usersList, "users.info": usersInfo, "users.lookupByEmail": usersLookupByEmail,
	"users.conversations": usersConversations,
	"chat.postMessage":    chatPostMessage, "chat.postEphemeral": chatPostEphemeral, "chat.update": chatUpdate,
	"chat.delete": chatDelete, "chat.getPermalink": chatGetPermalink,
	"conversations.list": conversationsList, "conversations.info": conversationsInfo,
	"conversations.history": conversationsHistory, "conversations.replies": conversationsReplies,
	"conversations.open": conversationsOpen, "conversations.members": conversationsMembers,
	"conversations.join": conversationsJoin, "conversations.leave": conversationsLeave, "conversations.invite": conversationsInvite,
	"conversations.create": conversationsCreate, "conversations.archive": conversationsArchive,
	"conversations.setTopic": conversationsSetTopic, "conversations.setPurpose": conversationsSetPurpose,
	"files.getUploadURLExternal": filesGetUploadURL, "files.completeUploadExternal": filesComplete,
	"reactions.add": reactionsAdd, "reactions.remove": reactionsRemove, "reactions.get": reactionsGet,
	"reactions.list": reactionsList, "pins.add": pinsAdd, "pins.remove": pinsRemove, "pins.list": pinsList,
	"chat.meMessage": chatMeMessage, "chat.scheduleMessage": chatScheduleMessage,
	"chat.scheduledMessages.list": chatScheduledMessagesList, "chat.deleteScheduledMessage": chatDeleteScheduledMessage,
	"users.getPresence": usersGetPresence, "users.profile.get": usersProfileGet,
	"conversations.kick": conversationsKick, "conversations.rename": conversationsRename, "conversations.unarchive": conversationsUnarchive,
	"conversations.close": conversationsClose, "conversations.mark": conversationsMark,
	"apps.connections.open": nil, // with a token of its own kind
	"dialog.open":           dialogOpen,
	"views.open":            viewsOpen, "views.push": viewsPush, "views.update": viewsUpdate, "views.publish": viewsPublish,
}

// open needs no token.
var open = map[string]bool{"api.test": true}

func (s *Server) serveAPI(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	name := r.PathValue("method")
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	a, err := readArgs(r)
	token, auth := bearer(r, name, a)
	status, body := http.StatusOK, Block(nil)
	if err == nil && oauthMethods[name] != nil {
		status, body, err = s.serveTokens(w, r, name, token, a)
	}
	delete(a.values, "token")
	if body == nil && err == nil {
		status, body, err = s.fault(r, name, w.Header())
	}
	if body == nil && err == nil {
		body, err = s.call(name, token, a)
	}
	if token == s.opt.BotToken && s.opt.Scopes != nil {
		w.Header().Set("X-OAuth-Scopes", strings.Join(s.opt.Scopes, ","))
	}
	if g, _ := s.oauth.find(token); g != nil && g.scopes != nil {
		w.Header().Set("X-OAuth-Scopes", strings.Join(g.scopes, ","))
	}
	body = finish(body, err, a.warning)
	ok, _ := body["ok"].(bool)
	code, _ := body["error"].(string)
	c := Call{Verb: r.Method, Via: a.via, Auth: auth, Method: name, Args: a.values, Status: status, OK: ok, Error: code, At: s.now(), Ms: float64(time.Since(start).Microseconds()) / 1000}
	s.record(c)
	writeJSON(w, status, body)
}

// bearer is the token of a call, and where it was. One in a JSON body does not
// count, nor does any in a body for opening a socket.
func bearer(r *http.Request, name string, a args) (token, auth string) {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return token, "header"
	}
	if token := a.str("token"); token != "" && a.via != "json" && name != "apps.connections.open" {
		return token, "body"
	}
	return "", ""
}

// record keeps what the app asked, and shows it.
func (s *Server) record(c Call) {
	s.history.addCall(c)
	s.world.log.add("call", c)
}

// call finds the method and who calls, and runs it.
func (s *Server) call(name, token string, a args) (Block, error) {
	f := methods[name]
	if _, known := methods[name]; !known {
		return nil, Code("unknown_method")
	}
	switch g, bad := s.oauth.find(token); {
	case bad != "" && !open[name]:
		return nil, bad
	case g != nil:
		return s.oauth.call(g, name, a)
	}
	c := &call{args: a, w: s.world, s: s}
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	switch {
	case open[name]:
	case name == "apps.connections.open" && token == s.opt.AppToken:
		return connectionsOpen(c)
	case name == "apps.connections.open" && (token == s.opt.BotToken || token == s.opt.UserToken):
		return nil, Code("not_allowed_token_type")
	case token == "":
		return nil, Code("not_authed")
	case token == s.opt.BotToken:
		c.user, c.bot = s.world.app.UserID, true
	case token == s.opt.UserToken && s.opt.UserToken != "":
		c.user = s.opt.UserTokenUser
	case token == s.opt.AppToken:
		return nil, Code("not_allowed_token_type")
	default:
		return nil, Code("invalid_auth")
	}
	return f(c)
}

// finish makes the answer of a call from what its method returned.
func finish(body Block, err error, warning string) Block {
	if body == nil {
		body = Block{}
	}
	if _, set := body["ok"]; !set {
		body["ok"] = err == nil
	}
	meta, _ := body["response_metadata"].(Block)
	if meta == nil {
		meta = Block{}
	}
	if err != nil {
		body["error"] = "invalid_arguments"
		var code Code
		var bad *Invalid
		switch {
		case errors.As(err, &bad):
			body["error"] = string(bad.Code)
			meta["messages"] = bad.Messages
		case errors.As(err, &code):
			body["error"] = string(code)
		default:
			meta["messages"] = []string{"[ERROR] " + err.Error()}
		}
	}
	if warning != "" {
		body["warning"] = warning
		meta["warnings"] = []string{warning}
	}
	if len(meta) > 0 {
		body["response_metadata"] = meta
	}
	return body
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("sim: encode answer: " + err.Error()) // our own types only
	}
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(raw)))
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

func apiTest(c *call) (Block, error) {
	out := Block{"args": c.values}
	if code := c.str("error"); code != "" {
		return out, Code(code)
	}
	return out, nil
}

func authTest(c *call) (Block, error) {
	u := c.w.user(c.user)
	out := Block{
		"url": c.s.URL() + "/", "team": c.w.team.Name, "user": u.Name, "team_id": c.w.team.ID, "user_id": u.ID,
		"is_enterprise_install": false,
	}
	if c.bot {
		out["bot_id"] = c.w.app.BotID
	}
	return out, nil
}

func botsInfo(c *call) (Block, error) {
	if id := c.str("bot"); id != "" && id != c.w.app.BotID {
		return nil, Code("bot_not_found")
	}
	a := c.w.app
	return Block{"bot": Block{
		"id": a.BotID, "deleted": false, "name": a.Name, "updated": 0, "app_id": a.ID, "user_id": a.UserID, "icons": Block{},
	}}, nil
}

func teamInfo(c *call) (Block, error) {
	t := c.w.team
	if id := c.str("team"); id != "" && id != t.ID {
		return nil, Code("team_not_found")
	}
	return Block{"team": Block{
		"id": t.ID, "name": t.Name, "domain": t.Domain, "email_domain": "example.com", "url": c.s.URL() + "/",
		"icon": Block{"image_default": true},
	}}, nil
}

func emojiList(c *call) (Block, error) {
	all := Block{}
	for k, v := range c.w.emoji {
		all[k] = v
	}
	return Block{"emoji": all, "cache_ts": c.w.nextTS()}, nil
}

func usergroupsList(c *call) (Block, error) {
	out := []Block{}
	for _, g := range c.w.groups {
		b := Block{
			"id": g.ID, "team_id": c.w.team.ID, "is_usergroup": true, "name": g.Name, "handle": g.Handle,
			"description": "", "is_external": false, "date_create": 0, "date_update": 0, "date_delete": 0,
			"user_count": len(g.Users),
		}
		if c.flag("include_users") {
			b["users"] = g.Users
		}
		out = append(out, b)
	}
	return Block{"usergroups": out}, nil
}

func usergroupsUsersList(c *call) (Block, error) {
	for _, g := range c.w.groups {
		if g.ID == c.str("usergroup") {
			return Block{"users": g.Users}, nil
		}
	}
	return nil, Code("no_such_subteam")
}
