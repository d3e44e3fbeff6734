package cli

import (
	"fmt"
	"net"

	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/sim"
)

// localOAuth is who can install an app in the local Slack: beside its first
// workspace two more, which are an organization.
func localOAuth() sim.OAuth {
	return sim.OAuth{
		Workspaces: []sim.Seed{sim.NewWorkspace("T0SECOND", "Second Workspace"), sim.NewWorkspace("T0THIRD", "Third Workspace")},
		Org:        sim.Org{ID: "E0LOCAL", Name: "Local Organization", Teams: []string{"T0SECOND", "T0THIRD"}},
	}
}

// localInstall lets the app be installed in the local Slack's workspaces, and
// returns the line that says where. Without a key nothing can be installed: a
// store that is kept needs one that is kept as well.
func localInstall(cfg *config.Config, at net.Addr) string {
	if len(cfg.Installs.Keys) == 0 {
		return ""
	}
	o := &cfg.Slack.OAuth
	o.ClientID, o.ClientSecret = sim.DevClientID, sim.DevClientSecret
	o.AuthorizeURL, o.SuccessURL, o.Team = "", "", ""
	o.RedirectURL = "http://" + at.String() + o.ReturnPath()
	return fmt.Sprintf("Install:     http://%s%s (in another workspace of the local Slack)\n", at, o.InstallPath)
}
