package api

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/starling-rules/starling/engine/ingress"
)

// getTeam answers the id of a team.
func (*API) getTeam(_ context.Context, r *request) ingress.AdminResponse {
	if !r.decision.MaySee(r.team) {
		r.decision.Allowed, r.decision.Reason = false, "team not allowed for the key"
		return refusal(r.decision)
	}
	id, ok := r.access.config.Teams[r.team]
	if !ok {
		return ingress.Problem(http.StatusNotFound, "provided team name is not configured")
	}
	return ingress.JSON(http.StatusOK, map[string]string{"team_id": id})
}

// slackUser is what is needed of Slack's user object.
type slackUser struct {
	ID      string `json:"id"`
	TeamID  string `json:"team_id"`
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
	Profile struct {
		Email       string `json:"email"`
		DisplayName string `json:"display_name"`
	} `json:"profile"`
}

// user looks up the person of the path's e-mail address; deleted ones are not found.
func (a *API) user(ctx context.Context, r *request) (slackUser, *ingress.AdminResponse) {
	var u slackUser
	email := r.Params["email"]
	if !strings.Contains(email, "@") {
		resp := ingress.Problem(http.StatusNotFound, "user with the given e-mail address could not be found")
		return u, &resp
	}
	obj, err := a.o.Slack.User(ctx, email, r.options())
	if err == nil {
		err = json.Unmarshal(obj, &u)
	}
	if err != nil {
		resp := refused(err, "user with the given e-mail address")
		return u, &resp
	}
	if u.Deleted || u.ID == "" {
		resp := ingress.Problem(http.StatusNotFound, "user with the given e-mail address could not be found")
		return u, &resp
	}
	return u, nil
}

// userAnswer is a user as omnibot's code answers it, and as its manual says:
// under "user", and flat.
type userAnswer struct {
	userFields
	User userFields `json:"user"`
}

type userFields struct {
	Email  string `json:"email"`
	Name   string `json:"name"`
	TeamID string `json:"team_id"`
	UserID string `json:"user_id"`
}

func (a *API) getUser(ctx context.Context, r *request) ingress.AdminResponse {
	u, failed := a.user(ctx, r)
	if failed != nil {
		return *failed
	}
	f := userFields{Email: u.Profile.Email, Name: u.Profile.DisplayName, TeamID: u.TeamID, UserID: u.ID}
	if f.Email == "" { // without the scope users:read.email Slack keeps it back
		f.Email = r.Params["email"]
	}
	if f.Name == "" {
		f.Name = u.Name
	}
	return ingress.JSON(http.StatusOK, userAnswer{f, f})
}

// getChannel answers Slack's object as omnibot's code does, flat, and as its
// manual says, under "channel".
func (a *API) getChannel(ctx context.Context, r *request) ingress.AdminResponse {
	obj, err := a.o.Slack.Channel(ctx, r.Params["channel"], r.options())
	if err != nil {
		return refused(err, "channel with the given name")
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(obj, &fields); err != nil {
		return ingress.Problem(http.StatusBadGateway, "Slack's channel could not be read")
	}
	fields["channel"] = json.RawMessage(obj)
	return ingress.JSON(http.StatusOK, fields)
}

func (a *API) getIMs(ctx context.Context, r *request) ingress.AdminResponse {
	list, err := a.o.Slack.IMs(ctx, r.options())
	if err != nil {
		return refused(err, "direct conversations")
	}
	return ingress.JSON(http.StatusOK, map[string]json.RawMessage{"ims": json.RawMessage(list)})
}
