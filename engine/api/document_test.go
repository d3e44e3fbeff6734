package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/api"
	"github.com/starling-rules/starling/engine/api/apitest"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/ingress"
)

func spec(t *testing.T) *apitest.Spec {
	t.Helper()
	s, err := apitest.Read(api.Document())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestTheDocumentTellsOfEveryRouteAndOfNoOther(t *testing.T) {
	t.Parallel()
	a, err := api.New(api.Options{Config: config.Default()})
	if err != nil {
		t.Fatal(err)
	}
	routes := []string{}
	for _, m := range a.Mounts() {
		routes = append(routes, m.Method+" "+m.Path)
	}
	for _, p := range []string{ingress.GuardedEvent, ingress.GuardedCommand, ingress.GuardedInteractive} {
		routes = append(routes, http.MethodPost+" "+p)
	}
	slices.Sort(routes)
	if diff := cmp.Diff(spec(t).Operations(), routes); diff != "" {
		t.Errorf("document and router differ (- document, + router):\n%s", diff)
	}
}

func TestTheCheckOfTheDocumentFindsFaults(t *testing.T) {
	t.Parallel()
	good := string(api.Document())
	for name, change := range map[string][2]string{
		"version":             {`"openapi": "3.1.0"`, `"openapi": "3.0.3"`},
		"dangling reference":  {`"$ref": "#/components/schemas/Team"`, `"$ref": "#/components/schemas/Teem"`},
		"undeclared":          {`"/api/v1/slack/get_team/{team}"`, `"/api/v1/slack/get_team/{name}"`},
		"the same name twice": {`"operationId": "getIMs"`, `"operationId": "getTeam"`},
		"unknown word":        {`"additionalProperties": false`, `"additionlProperties": false`},
	} {
		bad := strings.ReplaceAll(good, change[0], change[1])
		if bad == good {
			t.Errorf("%s: there is no %s", name, change[0])
		}
		if _, err := apitest.Read([]byte(bad)); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}

func TestConforms(t *testing.T) {
	t.Parallel()
	s := spec(t)
	const team, user = "GET /api/v1/slack/get_team/{team}", "GET /api/v1/slack/get_user/{team}/{bot}/{email}"
	for _, tc := range []struct {
		route  string
		status int
		kind   string
		body   string
		good   bool
	}{
		{team, 200, "application/json", `{"team_id":"T1"}`, true},
		{team, 200, "application/json", `{"team_id":1}`, false},
		{team, 200, "application/json", `{"team":"T1"}`, false},
		{team, 200, "application/json", `{"team_id":"T1","more":1}`, false},
		{team, 200, "text/plain", `{"team_id":"T1"}`, false},
		{team, 418, "application/json", `{}`, false},
		{team, 404, "application/json", `{"error":"no"}`, true},
		{"GET /nowhere", 200, "", ``, false},
		{user, 200, "application/json", `{"user":{"email":"a","name":"b","team_id":"T","user_id":"U"},"email":"a","name":"b","team_id":"T","user_id":"U"}`, true},
		{user, 200, "application/json", `{"user":{"email":"a"},"email":"a","name":"b","team_id":"T","user_id":"U"}`, false},
	} {
		if err := s.Conforms(tc.route, tc.status, tc.kind, []byte(tc.body)); (err == nil) != tc.good {
			t.Errorf("%s %d %s: got %v", tc.route, tc.status, tc.body, err)
		}
	}
}
