package slackapi_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"testing"

	"github.com/starling-rules/starling/engine/slackapi"
)

// rotating are tokens of which the first is no good, and maybe the second.
type rotating struct {
	tokens []string
	asked  []string // what Renew was told
	gone   bool
}

func (r *rotating) Token(context.Context, string, string, string, bool) (string, error) {
	if r.gone {
		return "", errors.New("the app was removed")
	}
	return r.tokens[0], nil
}

func (r *rotating) Renew(_ context.Context, team, _, _ string, _ bool, token, code string) bool {
	r.asked = append(r.asked, team+" "+token+" "+code)
	if len(r.tokens) == 1 {
		return false
	}
	r.tokens = r.tokens[1:]
	return true
}

func TestACallIsMadeAgainWithARenewedToken(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tokens     []string
		answer     map[string]string // by token: an error, or none
		want       string
		calls, ask []string
	}{
		"good":             {[]string{"a", "b"}, nil, "", []string{"a"}, nil},
		"expired":          {[]string{"a", "b"}, map[string]string{"a": "token_expired"}, "", []string{"a", "b"}, []string{"T1 a token_expired"}},
		"no other":         {[]string{"a"}, map[string]string{"a": "token_revoked"}, "token_revoked", []string{"a"}, []string{"T1 a token_revoked"}},
		"the next is, too": {[]string{"a", "b", "c"}, map[string]string{"a": "token_expired", "b": "token_expired"}, "", []string{"a", "b", "c"}, []string{"T1 a token_expired", "T1 b token_expired"}},
		"all are": {
			[]string{"a", "b", "c", "d", "e"},
			map[string]string{"a": "token_expired", "b": "token_expired", "c": "token_expired", "d": "token_expired"},
			"token_expired",
			[]string{"a", "b", "c", "d"},
			[]string{"T1 a token_expired", "T1 b token_expired", "T1 c token_expired"},
		},
		"refused otherwise": {[]string{"a", "b"}, map[string]string{"a": "channel_not_found"}, "channel_not_found", []string{"a"}, nil},
	} {
		tokens := &rotating{tokens: c.tokens}
		var calls []string
		api := client(t, wire(func(_ string, _ url.Values, r *http.Request) (int, http.Header, string) {
			token := r.Header.Get("Authorization")[len("Bearer "):]
			calls = append(calls, token)
			if e := c.answer[token]; e != "" {
				return 200, nil, `{"ok":false,"error":"` + e + `"}`
			}
			return 200, nil, `{"ok":true}`
		}), func(o *slackapi.Options) { o.Tokens = tokens })
		res, err := api.Call(t.Context(), "chat.postMessage", nil, slackapi.CallOptions{Team: "T1"})
		if err != nil || res.Error != c.want || !slices.Equal(calls, c.calls) || !slices.Equal(tokens.asked, c.ask) {
			t.Errorf("%s: got %q %v, called with %v, asked %v", name, res.Error, err, calls, tokens.asked)
		}
	}
}

func TestATokenThatIsGoneIsNotUsedAgain(t *testing.T) {
	t.Parallel()
	tokens := &rotating{tokens: []string{"a"}}
	calls := 0
	api := client(t, wire(func(string, url.Values, *http.Request) (int, http.Header, string) {
		calls++
		tokens.gone = true // while the call waits to be sent again
		return 429, http.Header{"Retry-After": {"1"}}, `{"ok":false,"error":"ratelimited"}`
	}), func(o *slackapi.Options) { o.Tokens = tokens })
	res, err := api.Call(t.Context(), "chat.postMessage", nil, quick)
	if err != nil || res.Error != "not_authed" || res.Text("detail") != "the app was removed" || calls != 1 {
		t.Errorf("got %+v, %v after %d calls", res, err, calls)
	}
}

func TestMethodsThatNeedATeamGetItWithTheTokenOfAnOrganisation(t *testing.T) {
	t.Parallel()
	for _, method := range []string{
		"users.list", "conversations.list", "conversations.create", "users.conversations", "usergroups.list", "usergroups.create", "usergroups.update",
		"usergroups.enable", "usergroups.disable", "usergroups.users.list", "usergroups.users.update", "reminders.list", "files.list", "search.messages",
		"team.accessLogs", "chat.scheduledMessages.list", "reactions.list",
	} {
		var got []string
		api := client(t, wire(func(_ string, f url.Values, _ *http.Request) (int, http.Header, string) {
			got = append(got, f.Get("team_id"))
			return 200, nil, `{"ok":true}`
		}))
		for _, o := range []slackapi.CallOptions{{Team: "T1", Enterprise: "E1"}, {Team: "T1"}, {Enterprise: "E1"}} {
			if _, err := api.Call(t.Context(), method, nil, o); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(got, []string{"T1", "", ""}) {
			t.Errorf("%s: team_id %q", method, got)
		}
	}
}
