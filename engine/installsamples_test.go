package engine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

// sampleDir finds Slack's samples beside the repository.
func sampleDir(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		at := filepath.Join(dir, "shared", "slack-samples")
		if _, e := os.Stat(at); e == nil {
			return at
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	t.Skip("no samples of Slack's payloads beside the repository")
	return ""
}

func TestSamplesFindTheirInstallation(t *testing.T) {
	t.Parallel()
	dir := sampleDir(t)
	keys, err := keyring.New(strings.Repeat("7f", keyring.Size))
	if err != nil {
		t.Fatal(err)
	}
	s, err := install.Open(t.Context(), install.Options{State: queue.NewMemory(queue.MemoryOptions{}).State(), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*install.Installation{
		{App: "A111", Team: "T_INSTALLED", Enterprise: "E_INSTALLED"},
		{App: "A111", Enterprise: "E111", OrgWide: true},
		{App: "A111", Team: "T111", Enterprise: "E111"},
		{App: "A0SYNTH01", Enterprise: "E0SYNTH01", OrgWide: true},
	} {
		if _, err := s.Put(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"events/envelopes/app_mention--boltpy-test_events_shared_channels-L60.json":            "A111/T_INSTALLED",
		"events/envelopes/member_joined_channel--boltpy-test_events_shared_channels-L263.json": "A111/T_INSTALLED",
		"events/envelopes/tokens_revoked--boltpy-test_events_shared_channels-L458.json":        "A111/T_INSTALLED",
		"events/envelopes/team_access_revoked--boltpy-test_events_org_apps-L116.json":          "A111/E111",
		"events/envelopes/app_uninstalled--java-EventUninstallationTest-L57.json":              "A111/T111",
		"events/envelopes/app_uninstalled--boltpy-test_events_token_revocations-L143.json":     "A111/E111",
		"events/envelopes/app_home_opened--boltpy-test_events_org_apps-L153.json":              "A111/T111",
		"events/synthetic/org-install-event.json":                                              "A0SYNTH01/E0SYNTH01",
		"commands/synthetic/org-wide-install.form":                                             "A0SYNTH01/E0SYNTH01",
		"commands/synthetic/enterprise-grid.form":                                              "", // not org-wide, and the workspace has none
		"interactive/payloads/view_submission--java-ViewSubmissionPayloadTest-L190.json":       "A111/T111",
		"interactive/payloads/block_actions--boltpy-test_authorize-L194.json":                  "A111/T111",
		"interactive/payloads/block_actions--boltpy-test_request-L26.json":                     "A111/E111",
	} {
		body, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		parse := event.Parse
		if filepath.Ext(name) == ".form" {
			parse = event.ParseForm
		}
		ev, _, err := parse(body, event.Meta{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if strings.Contains(name, "block_actions--boltpy-test_request") {
			ev.App = "A111" // the sample names another app
		}
		q := queryOf(ev)
		if ev.Team == "" {
			q.OrgWide = install.Yes
		}
		got := ""
		if in, err := s.Find(t.Context(), q); err == nil {
			got = in.ID().String()
		}
		if got != want {
			t.Errorf("%s: found %q, want %q (asked for %s, org-wide %v)", name, got, want, q, ev.OrgWide)
		}
	}
}
