package config

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// Access says who may run rules: entry by entry, for the rules that it names.
// A rule that no entry names is for all; one that is named is for those whom
// an entry describes and none denies.
type Access struct {
	// Rules are ids of rules, such as deploy.star:restart; * is any text.
	Rules []string `key:"rules"`
	// Users are ids or e-mail addresses, Groups user groups by "@handle" or id:
	// who is among either. Neither: everybody.
	Users  []string `key:"users"`
	Groups []string `key:"groups"`
	// Channels are ids or "#names", * is any text. None: everywhere.
	Channels []string `key:"channels"`
	// Args are the values that arguments may have, by their name; * is any text.
	Args map[string][]string `key:"args"`
	// Deny are users and groups who may not, whatever else is said of them.
	Deny []string `key:"deny"`
	// Say is what who is refused is told.
	Say string `key:"say"`
}

// RulesGit is where a rules directory is kept up to date from.
type RulesGit struct {
	// URL of the repository: https, ssh, or a path on this machine. Empty: none.
	URL string `key:"url"`
	// Ref is the branch or tag; Path the directory of the rules within.
	Ref  string `key:"ref"`
	Path string `key:"path"`
	// Every is how often it is looked at; 0: on SIGHUP and the webhook alone.
	Every time.Duration `key:"every"`
	// Webhook is the path of a webhook that makes the server look, Secret what
	// the requests are signed with, as GitHub does.
	Webhook string `key:"webhook"`
	Secret  string `key:"secret"`
	// Keep is how many revisions are kept.
	Keep int `key:"keep"`
	// Tell is who hears of a revision that is refused: a channel or a person.
	Tell string `key:"tell"`
}

var (
	personID  = regexp.MustCompile(`^[UW][A-Z0-9]+$`)
	mail      = regexp.MustCompile(`^[^\s@,<>]+@[^\s@,<>]+$`)
	groupID   = regexp.MustCompile(`^S[A-Z0-9]+$`)
	groupName = regexp.MustCompile(`^@[^\s@,<>]{1,80}$`)
	channel   = regexp.MustCompile(`^([CDG][A-Z0-9]+|#?[^\s#,@A-Z&<>]{1,80})$`)
	gitRef    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]{0,200}$`)
)

// validateAccess checks who is named: what is misspelt would let nobody in, or
// keep nobody out.
func (c *Config) validateAccess(bad func(key, msg, hint string)) {
	user := func(s string) bool { return personID.MatchString(s) || mail.MatchString(s) }
	group := func(s string) bool { return groupID.MatchString(s) || groupName.MatchString(s) }
	either := func(s string) bool { return user(s) || group(s) }
	each := func(key, what, hint string, list []string, ok func(string) bool) {
		for _, s := range list {
			if !ok(s) {
				bad(key, fmt.Sprintf("%q is no %s", s, what), hint)
			}
		}
	}
	each("admins", "user or user group", `such as U0123ABCD, ann@example.com, "@oncall" or S0123ABCD`, c.Admins, either)
	for i, a := range c.Access {
		key := fmt.Sprintf("access.%d", i)
		if len(a.Rules) == 0 {
			bad(key, "names no rules", `such as rules: "deploy.star:*"`)
		}
		each(key+".users", "user", "such as U0123ABCD or ann@example.com; groups go under groups", a.Users, user)
		each(key+".groups", "user group", `such as "@oncall" or S0123ABCD`, a.Groups, group)
		each(key+".deny", "user or user group", `such as U0123ABCD or "@interns"`, a.Deny, either)
		each(key+".channels", "channel", `such as "#ops" or C0123ABCD`, a.Channels, channel.MatchString)
		if len(a.Users)+len(a.Groups)+len(a.Channels)+len(a.Args)+len(a.Deny) == 0 {
			bad(key, "says nothing of who may", "name users, groups, channels, args or deny")
		}
	}
}

// validateGit checks where rules are fetched from.
func (c *Config) validateGit(bad func(key, msg, hint string)) {
	g := c.RulesGit
	if g.URL == "" {
		if g.Ref+g.Path+g.Webhook+g.Secret != "" {
			bad("rules_git.url", "is missing", "")
		}
		return
	}
	if !gitURL(g.URL) {
		bad("rules_git.url", fmt.Sprintf("want https://…, ssh://…, git@host:path or a path on this machine (got %q)", g.URL), "")
	}
	if g.Ref != "" && (!gitRef.MatchString(g.Ref) || strings.Contains(g.Ref, "..")) {
		bad("rules_git.ref", fmt.Sprintf("%q is no branch or tag", g.Ref), "")
	}
	if strings.HasPrefix(g.Path, "/") || strings.Contains("/"+g.Path+"/", "/../") {
		bad("rules_git.path", fmt.Sprintf("want a directory within the repository (got %q)", g.Path), "")
	}
	if (g.Webhook == "") != (g.Secret == "") {
		bad("rules_git", "webhook and secret go together", "")
	}
	if g.Webhook != "" && !strings.HasPrefix(g.Webhook, "/") {
		bad("rules_git.webhook", fmt.Sprintf("want a path (got %q)", g.Webhook), "such as /hooks/rules")
	}
	if g.Every != 0 && g.Every < 10*time.Second {
		bad("rules_git.every", fmt.Sprintf("want at least 10s (got %s)", g.Every), "")
	}
	if c.Data == "" {
		bad("rules_git", "needs a data directory to keep revisions in", "set data")
	}
}

// gitURL reports whether git may be given the URL: nothing that runs commands,
// and nothing that it would take for an option.
func gitURL(s string) bool {
	switch {
	case strings.HasPrefix(s, "-"), strings.ContainsAny(s, " \t\n\x00"):
		return false
	case strings.HasPrefix(s, "/"), strings.HasPrefix(s, "./"), strings.HasPrefix(s, "../"):
		return true
	case strings.Contains(s, "://"):
		u, err := url.Parse(s)
		return err == nil && (u.Scheme == "https" || u.Scheme == "ssh" || u.Scheme == "file") && !strings.HasPrefix(u.Host, "-")
	}
	host, path, ok := strings.Cut(s, ":")
	return ok && host != "" && path != "" && !strings.HasPrefix(path, ":") && !strings.ContainsAny(host, "/")
}
