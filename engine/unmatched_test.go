package engine_test

import (
	"net/url"
	"testing"
)

// Whoever clicks on what no rule answers is told, where Slack shows what is
// answered: not by an error, and not to everybody.
func TestAnInteractionThatNoRuleAnswersIsAnswered(t *testing.T) {
	t.Parallel()
	r := newRig(t, map[string]string{"a.star": `on.action("known", lambda e: "yes")`}, nil)
	const notice = `{"response_type":"ephemeral","replace_original":false,"text":"No rule answers this."}`
	common := `"team":{"id":"T1"},"user":{"id":"U1"},"channel":{"id":"C1"},"api_app_id":"A1","response_url":"https://hooks.slack.com/actions/x",`
	for name, tc := range map[string]struct{ payload, want string }{
		"a button of an attachment": {`{"type":"interactive_message",` + common + `"callback_id":"cb","action_ts":"1","trigger_id":"1.1","actions":[{"name":"other","type":"button","value":"1"}]}`, notice},
		"one that is known":         {`{"type":"interactive_message",` + common + `"callback_id":"known","action_ts":"2","trigger_id":"1.2","actions":[{"name":"known","type":"button","value":"1"}]}`, `{"text":"yes"}`},
		// Slack shows no answer to these, or takes it for an error of the form.
		"a block":  {`{"type":"block_actions",` + common + `"trigger_id":"1.3","actions":[{"action_id":"other","block_id":"b","type":"button","value":"1"}]}`, ""},
		"a view":   {`{"type":"view_submission",` + common + `"trigger_id":"1.4","view":{"id":"V1","callback_id":"other","state":{"values":{}}}}`, ""},
		"a dialog": {`{"type":"dialog_submission",` + common + `"callback_id":"cb","action_ts":"5","trigger_id":"1.5","submission":{}}`, ""},
	} {
		status, body := r.send("/slack/interactive", formBody, []byte("payload="+url.QueryEscape(tc.payload)))
		if status != 200 || body != tc.want {
			t.Errorf("%s: got %d %s, want %s", name, status, body, tc.want)
		}
	}
}
