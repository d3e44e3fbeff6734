// Package oauth installs the app in workspaces by Slack's OAuth v2, and keeps
// the tokens that it gets alive.
//
//	App       the client id and secret, and where Slack asks people
//	Flow      the install page, the state, the exchange of the code
//	Rotator   renews tokens ahead of time; one refresher among all processes
//	Revoker   ends tokens, or takes the app out of a workspace
//
// How a workspace comes in:
//
//	browser ─► GET /slack/install ─► page ─► ?start=1 ─► state, cookie
//	                                                       │ 302
//	           Slack: authorize, Allow ◄───────────────────┘
//	              │ 302 ?code&state
//	              ▼
//	GET /slack/oauth_redirect: state? cookie? unused? ─► oauth.v2.access
//	                                                       │
//	                       install.Store.Install ◄─────────┘ ─► auth.test: bot_id
//
// How a token stays alive: Slack's tokens end after 12 hours. Two hours before
// that (less for tokens with a shorter life, each process at a time of its own)
// a process takes the lease of the token, a row of the store with a time limit;
// reads the installation again, for another one may have renewed it; spends the
// refresh token; and stores both new tokens in one write, only if the refresh
// token there is still the one that it spent.
//
// A refresh token can be spent once. Between Slack's answer and the write a
// crash loses the new pair. What is done about it: there is nothing between the
// two but the write; the write is repeated until it succeeds; the refresh token
// is tried again after a crash or a lost answer, for Slack may not have spent it
// or be lenient; the old token, which Slack lets live until it expires, is used
// meanwhile, and that is what the two hours are for; and who has to install the
// app again by when is logged as an error, counted, and told by /readyz.
//
// The package knows neither fasthttp nor the engine; tokens enter no error, log
// or page.
package oauth
