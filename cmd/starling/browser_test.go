package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// browser is a page in Chromium, and what went wrong in it.
type browser struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	bad []string
}

func newBrowser(t *testing.T, page string) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no Chromium or Chrome in PATH: the page is not tested in a browser")
	}
	opts := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(path),
		chromedp.WindowSize(1280, 800), chromedp.Flag("disable-background-networking", true))
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium refuses to start as root otherwise
	}
	alloc, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	b := &browser{t: t}
	b.ctx, cancel = chromedp.NewContext(alloc, chromedp.WithListener(b.listen))
	t.Cleanup(cancel)
	// The first Do starts the browser and must not have a deadline of its own.
	if err := chromedp.Do(b.ctx, chromedp.EmulateViewport(1280, 800)); err != nil {
		t.Fatalf("start browser: %v", err)
	}
	if _, err := chromedp.Call(b.ctx, log.Enable, cdp.Empty{}); err != nil {
		t.Fatalf("enable log: %v", err)
	}
	b.do("open page", chromedp.Navigate(page), chromedp.WaitVisible(id("composer-input")))
	return b
}

// listen notes errors and warnings of the page.
func (b *browser) listen(ev any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch ev := ev.(type) {
	case *runtime.EventExceptionThrown:
		raw, _ := json.Marshal(ev.ExceptionDetails)
		b.bad = append(b.bad, string(raw))
	case *runtime.EventConsoleAPICalled:
		if ev.Type == "error" || ev.Type == "warning" {
			raw, _ := json.Marshal(ev.Args)
			b.bad = append(b.bad, string(raw))
		}
	case *log.EventEntryAdded:
		if ev.Entry.Level == "error" || ev.Entry.Level == "warning" {
			b.bad = append(b.bad, ev.Entry.Text+" "+ev.Entry.URL)
		}
	}
}

// id selects by data-testid.
func id(name string) chromedp.CSS { return chromedp.CSS(`[data-testid="` + name + `"]`) }

func (b *browser) do(what string, steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "No node with given id") {
		err = chromedp.Do(ctx, steps...) // the page was drawn anew in between
	}
	if err != nil {
		b.t.Fatalf("%s: %v (console: %q)", what, err, b.bad)
	}
}

func (b *browser) types(box, text string) {
	b.t.Helper()
	b.do("type "+text, chromedp.WaitVisible(id(box)), chromedp.SendKeys(id(box), text))
}

func (b *browser) click(selector chromedp.CSS) {
	b.t.Helper()
	b.do("click "+string(selector), chromedp.WaitVisible(selector), chromedp.Click(selector))
}

// sees waits until a visible element that matches holds the text.
func (b *browser) sees(selector chromedp.CSS, text string) {
	b.t.Helper()
	js := fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.textContent.includes(%q))`, selector, text)
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](js))
		if err != nil {
			b.t.Fatalf("look for %q in %s: %v", text, selector, err)
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			all, _ := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.body.innerText`))
			b.t.Fatalf("never saw %q in %s (console: %q); the page shows\n%s", text, selector, b.bad, all)
		}
	}
}

func (b *browser) clean() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.bad) > 0 {
		b.t.Errorf("the console shows:\n%s", strings.Join(b.bad, "\n"))
	}
}

// dev starts the local Slack with a copy of an example, and returns the copy's
// directory and the page's address.
func dev(t *testing.T, example string) (c *child, rules, page string) {
	t.Helper()
	rules = filepath.Join(t.TempDir(), "rules")
	if err := os.CopyFS(rules, os.DirFS("../../examples/"+example)); err != nil {
		t.Fatal(err)
	}
	c = run(t, nil, "dev", "--page", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", rules)
	address := regexp.MustCompile(`Local Slack: (http://\S+)`)
	c.until("prints the address of the page", func() bool { return address.MatchString(c.out.String()) })
	return c, rules, address.FindStringSubmatch(c.out.String())[1]
}

// What the README of the quickstart says, done by a person with a browser.
func TestDevQuickstartInChromium(t *testing.T) {
	slow(t)
	c, rules, page := dev(t, "quickstart")
	b := newBrowser(t, page)

	b.types("composer-input", "hello\r")
	b.sees(id("message"), "Hello @ada! Try /deploy api")
	b.click(id("event") + "[data-kind=message].matched summary")
	b.sees(id("verdict"), "hello.star:greet")
	b.sees(id("run"), "done")

	b.types("composer-input", "/deploy api\r")
	b.sees(id("message"), "Deploy api to staging?")
	b.click(id("event") + "[data-kind=command].matched summary")
	b.sees(id("verdict"), "deploy.star:ask")
	b.click(id("action-deploy_yes"))
	b.sees(id("message"), "Deployed api: deployment 1, approved by @ada.")
	b.sees(id("event")+"[data-kind=action].matched", "deploy_yes")
	b.sees(id("event")+"[data-kind=command]", "/deploy api")

	greeting := filepath.Join(rules, "hello.star")
	text, err := os.ReadFile(greeting)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, greeting, strings.Replace(string(text), `"Hello <@%s>!`, `"Good morning <@%s>!`, 1))
	c.until("takes the change in", func() bool { return strings.Count(c.out.String(), "6 rules live") == 2 })
	b.types("composer-input", "hello again\r")
	b.sees(id("message"), "Good morning @ada!")

	writeFile(t, greeting, string(text)+"on.mesage(\"x\", help)\n")
	c.prints(`hello.star:17:4: `)
	c.prints("  17 | on.mesage(\"x\", help)\n     |    ^")
	c.prints("did you mean on.message?")
	c.prints("hello.star: the version before goes on running")
	c.prints("6 rules live, 1 file with errors")
	b.types("composer-input", "hello once more\r")
	b.sees(id("event"), "hello once more")
	writeFile(t, greeting, string(text))
	c.prints("hello.star is well again")
	if strings.Contains(c.out.String(), "rule file has an error") {
		t.Errorf("the terminal shows the error twice:\n%s", c.out.String())
	}
	b.clean()

	c.signal(syscall.SIGINT)
	c.exits(0)
	t.Log(c.out.String())
}

func TestDevFormInChromium(t *testing.T) {
	slow(t)
	c, _, page := dev(t, "form")
	b := newBrowser(t, page)

	b.types("composer-input", "/incident\r")
	b.click(id("action-incident_report"))
	b.types("action-what", "db")
	b.click(id("modal-submit"))
	b.sees(id("error-what"), "Say it in a few words.")
	b.types("action-what", " is slow & <old>")
	b.click(id("modal-submit"))
	b.do("modal closes", chromedp.WaitNotPresent(id("modal")))
	b.sees(id("message"), "Incident 1, minor: db is slow & <old>")

	b.click(id("home"))
	b.sees(id("app-home"), "1 minor: db is slow & <old>")
	b.click(id("action-incident_resolve"))
	b.sees(id("app-home"), "None. Enjoy your day.")
	b.clean()

	c.signal(syscall.SIGINT)
	c.exits(0)
}
