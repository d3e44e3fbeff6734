package sim

import (
	"crypto/rand"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

var (
	askTemplate  = template.Must(template.ParseFS(pageFiles, "page/authorize.html"))
	askFormLives = 10 * time.Minute
)

// maxPending bounds the forms and codes that are remembered.
const maxPending = 1000

// asked is what an app asks a person for, shown as a form.
type asked struct {
	at                 time.Time
	redirect, state    string
	redirectURI        string // as it was given, "" if it was not
	scopes, userScopes []string
}

// code is what an app exchanges for tokens.
type code struct {
	made               time.Time
	used               bool
	redirect           string // the redirect_uri that was given
	user               string
	where              *Server // nil: the whole organization
	scopes, userScopes []string
}

// askPage is what the page of the authorization shows.
type askPage struct {
	App                App
	Problem            string
	Request            string
	Scopes, UserScopes []string
	Places             []askPlace
	People             []User
	Back               string
}

type askPlace struct {
	ID, Name string
	Org, Now bool
}

// serveAsk is where an app sends a browser: a person sees what it wants.
func (a *oauthSide) serveAsk(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	ask := &asked{at: a.s.now(), state: q.Get("state"), redirectURI: q.Get("redirect_uri"), scopes: scopeList(q.Get("scope")), userScopes: scopeList(q.Get("user_scope"))}
	page := askPage{App: a.s.world.app, Scopes: ask.scopes, UserScopes: ask.userScopes}
	page.Problem = a.faulty(q, ask)
	if page.Problem != "" {
		a.show(w, http.StatusBadRequest, page, "")
		return
	}
	u, _ := url.Parse(ask.redirect)
	page.Back = u.Scheme + "://" + u.Host
	for _, at := range a.workspaces() {
		t := at.world.team
		page.Places = append(page.Places, askPlace{ID: t.ID, Name: t.Name, Now: t.ID == q.Get("team")})
		at.world.mu.Lock()
		for _, u := range at.world.users {
			if u.person() {
				page.People = append(page.People, *u)
			}
		}
		at.world.mu.Unlock()
	}
	if o := a.o.Org; o.ID != "" {
		page.Places = append(page.Places, askPlace{ID: o.ID, Name: o.Name, Org: true, Now: o.ID == q.Get("team")})
	}
	page.Request = rand.Text()
	a.mu.Lock()
	if len(a.pending) >= maxPending {
		clear(a.pending)
	}
	a.pending[page.Request] = ask
	a.mu.Unlock()
	a.show(w, http.StatusOK, page, page.Back)
}

// faulty is what is wrong with what an app asks for, in Slack's words, and
// finds out where the browser is sent back to.
func (a *oauthSide) faulty(q url.Values, ask *asked) string {
	switch {
	case q.Get("client_id") != a.o.ClientID:
		return "invalid_client_id"
	case len(ask.scopes)+len(ask.userScopes) == 0:
		return "invalid_scope_requested: the app asks for no scope"
	}
	for _, s := range slices.Concat(ask.scopes, ask.userScopes) {
		if strings.ContainsFunc(s, func(r rune) bool { return (r < 'a' || r > 'z') && !strings.ContainsRune(".:_-", r) }) {
			return "invalid_scope: " + s
		}
	}
	ask.redirect = ask.redirectURI
	if ask.redirect == "" {
		if len(a.o.RedirectURLs) == 0 {
			return "bad_redirect_uri: none is given, and none is registered"
		}
		ask.redirect = a.o.RedirectURLs[0]
	}
	if !a.registered(ask.redirect) {
		return "bad_redirect_uri: " + ask.redirect + " is not one of those that are registered"
	}
	return ""
}

// registered reports whether a browser may be sent there.
func (a *oauthSide) registered(redirect string) bool {
	u, err := url.Parse(redirect)
	if err != nil || u.Fragment != "" || u.User != nil || checkLocal(redirect) != nil {
		return false
	}
	if len(a.o.RedirectURLs) == 0 {
		return true
	}
	for _, known := range a.o.RedirectURLs {
		if rest, ok := strings.CutPrefix(redirect, known); ok && (rest == "" || strings.HasSuffix(known, "/") || strings.ContainsAny(rest[:1], "/?")) {
			return true
		}
	}
	return false
}

func scopeList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// show draws the page. Its form may lead to the app, which is somewhere else.
func (a *oauthSide) show(w http.ResponseWriter, status int, page askPage, back string) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' "+back)
	h.Set("Referrer-Policy", "same-origin") // without a referrer browsers send no Origin along with the form
	w.WriteHeader(status)
	_ = askTemplate.Execute(w, page) // fails only if the browser is gone
}

// serveDecision takes what the person decided and sends the browser back.
func (a *oauthSide) serveDecision(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if err := r.ParseForm(); err != nil {
		http.Error(w, "no form", http.StatusBadRequest)
		return
	}
	id := r.PostForm.Get("request")
	a.mu.Lock()
	ask := a.pending[id]
	delete(a.pending, id)
	a.mu.Unlock()
	if ask == nil || a.s.now().Sub(ask.at) > askFormLives {
		a.show(w, http.StatusBadRequest, askPage{App: a.s.world.app, Problem: "this form was used already, or is too old"}, "")
		return
	}
	back, _ := url.Parse(ask.redirect)
	q := back.Query()
	if ask.state != "" {
		q.Set("state", ask.state)
	}
	if r.PostForm.Get("decision") != "allow" {
		q.Set("error", "access_denied")
	} else {
		c, problem := a.decided(r.PostForm, ask)
		if problem != "" {
			a.show(w, http.StatusBadRequest, askPage{App: a.s.world.app, Problem: problem}, "")
			return
		}
		q.Set("code", c)
	}
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// decided makes the code for what a person allowed.
func (a *oauthSide) decided(form url.Values, ask *asked) (id, problem string) {
	team := form.Get("team")
	c := &code{made: a.s.now(), redirect: ask.redirectURI, scopes: ask.scopes, userScopes: ask.userScopes}
	home := a.workspace(team)
	if c.where = home; home == nil {
		if a.o.Org.ID == "" || team != a.o.Org.ID {
			return "", "there is no workspace " + team
		}
		home = a.workspace(a.o.Org.Teams[0])
	}
	home.world.mu.Lock()
	if u := home.world.user(form.Get("user")); u != nil && u.person() {
		c.user = u.ID
	} else { // whoever is there
		for _, u := range home.world.users {
			if c.user == "" && u.person() {
				c.user = u.ID
			}
		}
	}
	home.world.mu.Unlock()
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, old := range a.codes {
		if a.s.now().Sub(old.made) > 2*a.o.CodeLifetime {
			delete(a.codes, id)
		}
	}
	id = rand.Text()
	a.codes[id] = c
	return id, ""
}
