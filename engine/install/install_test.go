package install_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/keyring"
	"github.com/starling-rules/starling/engine/queue"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func ring(t *testing.T, keys ...string) *keyring.Keyring {
	t.Helper()
	r, err := keyring.New(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// open opens a Store on a state, with one key and the clock at a fixed time.
func open(t *testing.T, state queue.State, change ...func(*install.Options)) *install.Store {
	t.Helper()
	o := install.Options{State: state, Now: func() time.Time { return at }}
	for _, c := range change {
		c(&o)
	}
	if o.Keys == nil {
		o.Keys = ring(t, key1)
	}
	s, err := install.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func memory() queue.Store { return queue.NewMemory(queue.MemoryOptions{}) }

var (
	key1 = strings.Repeat("11", keyring.Size)
	key2 = strings.Repeat("22", keyring.Size)
)

func acme() *install.Installation {
	end := at.Add(12 * time.Hour)
	return &install.Installation{
		App: "A1", Team: "T1", TeamName: "Acme", Enterprise: "E1", EnterpriseName: "Acme Group",
		Bot:     install.Grant{Token: "xoxe.xoxb-1-secretbot", Scopes: []string{"chat:write"}, Refresh: "xoxe-1-secretrefresh", Expires: &end, Since: at},
		BotUser: "UBOT1", BotID: "B1",
		Users:     map[string]install.Grant{"U1": {Token: "xoxp-secretuser", Scopes: []string{"search:read"}, Since: at}},
		Installer: "U1", Webhook: &install.Webhook{Channel: "#ops", ChannelID: "C1", URL: "https://hooks.slack.com/services/T1/B1/secrethook"},
		Installed: at,
	}
}

func put(t *testing.T, s *install.Store, in *install.Installation) *install.Installation {
	t.Helper()
	out, err := s.Put(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestInstallationsComeBackAsTheyWereStored(t *testing.T) {
	t.Parallel()
	store := memory()
	s := open(t, store.State())
	stored := put(t, s, acme())
	want := acme()
	want.Updated, want.Revision = at, stored.Revision
	got, err := s.Get(t.Context(), install.ID{App: "A1", Place: "T1"})
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("got (-want +got):\n%s", d)
	}
	again := open(t, store.State())
	if d := cmp.Diff([]*install.Installation{want}, again.List()); d != "" {
		t.Errorf("after a restart (-want +got):\n%s", d)
	}
	if _, err := s.Get(t.Context(), install.ID{App: "A1", Place: "T2"}); !errors.Is(err, install.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestPutTakesTheRevisionThatIsThere(t *testing.T) {
	t.Parallel()
	s := open(t, memory().State())
	first := put(t, s, acme())
	if _, err := s.Put(t.Context(), acme()); !errors.Is(err, install.ErrConflict) {
		t.Errorf("a second one: %v", err)
	}
	second := put(t, s, first)
	if _, err := s.Put(t.Context(), first); !errors.Is(err, install.ErrConflict) {
		t.Errorf("the revision before: %v", err)
	}
	if err := s.Delete(t.Context(), first.ID(), first.Revision); !errors.Is(err, install.ErrConflict) {
		t.Errorf("delete the revision before: %v", err)
	}
	if err := s.Delete(t.Context(), first.ID(), second.Revision); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), second); !errors.Is(err, install.ErrConflict) {
		t.Errorf("a revision that is gone: %v", err)
	}
	if err := s.Delete(t.Context(), first.ID(), ""); !errors.Is(err, install.ErrNotFound) {
		t.Errorf("delete twice: %v", err)
	}
	third := put(t, s, acme())
	if third.Revision == first.Revision {
		t.Error("a revision comes again")
	}
}

func TestOnlyWhatNamesAPlaceIsStored(t *testing.T) {
	t.Parallel()
	s := open(t, memory().State())
	for name, change := range map[string]func(*install.Installation){
		"no app":             func(in *install.Installation) { in.App = "" },
		"no team":            func(in *install.Installation) { in.Team = "" },
		"a slash":            func(in *install.Installation) { in.Team = "T1/x" },
		"lower case":         func(in *install.Installation) { in.App = "a1" },
		"far too long":       func(in *install.Installation) { in.Team = "T" + strings.Repeat("1", 100) },
		"org-wide in a team": func(in *install.Installation) { in.OrgWide = true },
		"no organisation":    func(in *install.Installation) { in.OrgWide, in.Team, in.Enterprise = true, "", "" },
	} {
		in := acme()
		change(in)
		if _, err := s.Put(t.Context(), in); err == nil {
			t.Errorf("%s: stored", name)
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := open(t, memory().State())
	put(t, s, acme())
	put(t, s, &install.Installation{App: "A1", Enterprise: "E1", OrgWide: true, Bot: install.Grant{Token: "xoxb-org"}})
	put(t, s, &install.Installation{App: "A1", Enterprise: "E2", OrgWide: true, Bot: install.Grant{Token: "xoxb-org2"}})
	put(t, s, &install.Installation{App: "A1", Team: "T3", Bot: install.Grant{Token: "xoxb-3"}})
	put(t, s, &install.Installation{App: "A2", Team: "T3", Bot: install.Grant{Token: "xoxb-3b"}})
	for name, c := range map[string]struct {
		q    install.Query
		want string
	}{
		"a team":                                {install.Query{App: "A1", Team: "T1"}, "A1/T1"},
		"a team of a grid":                      {install.Query{App: "A1", Team: "T1", Enterprise: "E1", OrgWide: install.No}, "A1/T1"},
		"a team has one of its own":             {install.Query{App: "A1", Team: "T1", Enterprise: "E1", OrgWide: install.Yes}, "A1/T1"},
		"a team that joined an organisation":    {install.Query{App: "A1", Team: "T3", Enterprise: "E9", OrgWide: install.No}, "A1/T3"},
		"org-wide, another team":                {install.Query{App: "A1", Team: "T9", Enterprise: "E2", OrgWide: install.Yes}, "A1/E2"},
		"org-wide, but the event says it is no": {install.Query{App: "A1", Team: "T9", Enterprise: "E2", OrgWide: install.No}, ""},
		"org-wide, nothing said":                {install.Query{App: "A1", Team: "T9", Enterprise: "E2"}, "A1/E2"},
		"an organisation alone":                 {install.Query{App: "A1", Enterprise: "E2", OrgWide: install.No}, "A1/E2"},
		"another organisation":                  {install.Query{App: "A1", Team: "T9", Enterprise: "E9", OrgWide: install.Yes}, ""},
		"another app":                           {install.Query{App: "A2", Team: "T1"}, ""},
		"whichever app":                         {install.Query{Team: "T1"}, "A1/T1"},
		"whichever of two apps":                 {install.Query{Team: "T3"}, "several"},
		"nothing":                               {install.Query{App: "A1"}, ""},
		"what is no id":                         {install.Query{App: "A1", Team: "../T1", Enterprise: "x"}, ""},
		"an app that is no id":                  {install.Query{App: "A1/T1", Team: "T1"}, ""},
	} {
		in, err := s.Find(t.Context(), c.q)
		switch {
		case c.want == "" && !errors.Is(err, install.ErrNotFound):
			t.Errorf("%s: got %v, %v", name, in, err)
		case c.want == "several" && (err == nil || errors.Is(err, install.ErrNotFound)):
			t.Errorf("%s: got %v, %v", name, in, err)
		case c.want != "" && c.want != "several" && (err != nil || in.ID().String() != c.want):
			t.Errorf("%s: got %v, %v; want %s", name, in, err, c.want)
		}
	}
}

func TestInstallingAgainKeepsWhatIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s := open(t, memory().State())
	put(t, s, acme())
	second, err := s.Install(t.Context(), &install.Installation{
		App: "A1", Team: "T1", Bot: install.Grant{Token: "xoxb-new"}, BotUser: "UBOT1",
		Users: map[string]install.Grant{"U2": {Token: "xoxp-u2"}}, Installer: "U2", Installed: at.Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
	if second.Bot.Token != "xoxb-new" || second.Bot.Refresh != "" || second.Users["U1"].Token != "xoxp-secretuser" || second.Users["U2"].Token != "xoxp-u2" ||
		second.BotID != "B1" || second.Installer != "U2" || second.Webhook == nil {
		t.Errorf("got %+v", second)
	}
	// A user alone: the bot stays.
	third, err := s.Install(t.Context(), &install.Installation{App: "A1", Team: "T1", Users: map[string]install.Grant{"U3": {Token: "xoxp-u3"}}, Installer: "U3"})
	if err != nil || third.Bot.Token != "xoxb-new" || len(third.Users) != 3 {
		t.Errorf("got %+v, %v", third, err)
	}
}

func TestNothingPrintsATokenOrKey(t *testing.T) {
	t.Parallel()
	s := open(t, memory().State())
	in := put(t, s, acme())
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("x", "token", in.Bot.Token, "installation", in)
	_, notFound := s.Find(t.Context(), install.Query{App: "A9", Team: "T9"})
	r := ring(t, key1)
	for _, out := range []string{
		string(text), fmt.Sprint(in), fmt.Sprintf("%v %+v %#v %s %q", in, in, in, in.Bot, in.Users), logged.String(), notFound.Error(),
		fmt.Sprintf("%v %+v %#v %s", r, r, r, r),
	} {
		if strings.Contains(out, "secret") || strings.Contains(out, "1111111111") {
			t.Errorf("printed: %s", out)
		}
	}
	if !strings.Contains(string(text), `"token":"***"`) {
		t.Errorf("got %s", text)
	}
}

func TestUpdateSeesWhatOthersHaveChanged(t *testing.T) {
	t.Parallel()
	store := memory()
	a, b := open(t, store.State()), open(t, store.State())
	put(t, a, acme())
	tries := 0
	_, err := a.Update(t.Context(), acme().ID(), func(in *install.Installation) (*install.Installation, error) {
		if tries++; tries == 1 {
			if _, err := b.Update(t.Context(), in.ID(), func(in *install.Installation) (*install.Installation, error) {
				in.TeamName = "Renamed"
				return in, nil
			}); err != nil {
				t.Error(err)
			}
		}
		in.Broken = "invalid_refresh_token"
		return in, nil
	})
	in, _ := a.Get(t.Context(), acme().ID())
	if err != nil || tries != 2 || in.TeamName != "Renamed" || in.Broken == "" {
		t.Errorf("after %d tries: %+v, %v", tries, in, err)
	}
	if in.Usable() == nil {
		t.Error("a broken installation is usable")
	}
	if _, err := a.Update(t.Context(), install.ID{App: "A1", Place: "T9"}, nil); !errors.Is(err, install.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}

func TestSubscribersAndTheOthersAreToldOfChanges(t *testing.T) {
	t.Parallel()
	store := memory()
	shared := func(o *install.Options) { o.Shared = true }
	a, b := open(t, store.State(), shared), open(t, store.State(), shared)
	heard := make(chan install.Change, 10)
	b.Subscribe(func(c install.Change) { heard <- c })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- b.Follow(ctx, time.Millisecond) }()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	in := put(t, a, acme())
	if c := <-heard; c.ID != in.ID() || !c.Elsewhere || c.Installation.Revision != in.Revision {
		t.Errorf("put: heard %+v", c)
	}
	if err := a.Delete(t.Context(), in.ID(), ""); err != nil {
		t.Fatal(err)
	}
	if c := <-heard; c.ID != in.ID() || c.Installation != nil {
		t.Errorf("delete: heard %+v", c)
	}
	if b.Count() != 0 {
		t.Error("b still has it")
	}
	// More than the news hold: all is read again.
	for i := range 300 {
		other := acme()
		other.Team = fmt.Sprintf("T%d", 1000+i)
		put(t, a, other)
	}
	for seen := map[install.ID]bool{}; len(seen) < 300; {
		seen[(<-heard).ID] = true
	}
}

func TestWhatAnotherProcessHasStoredIsFoundAtOnce(t *testing.T) {
	t.Parallel()
	store := memory()
	shared := func(o *install.Options) { o.Shared = true }
	a, b := open(t, store.State(), shared), open(t, store.State(), shared)
	in := put(t, a, acme())
	got, err := b.Find(t.Context(), install.Query{App: "A1", Team: "T1"})
	if err != nil || got.Revision != in.Revision {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReloadTakesUpWhatWasChangedBehindTheStore(t *testing.T) {
	t.Parallel()
	store := memory()
	a, b := open(t, store.State()), open(t, store.State())
	put(t, a, acme())
	other := acme()
	other.Team = "T2"
	put(t, b, other)
	if err := b.Delete(t.Context(), acme().ID(), ""); !errors.Is(err, nil) {
		t.Fatal(err)
	}
	if err := a.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := a.List(); len(list) != 1 || list[0].Team != "T2" {
		t.Errorf("got %v", list)
	}
}
