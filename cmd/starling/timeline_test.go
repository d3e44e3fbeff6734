package main

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/chromedp/chromedp"
)

// shots is where the tests of pages leave pictures.
var shots = flag.String("shots", "", "directory for screenshots of pages")

func (b *browser) picture(name string) {
	if *shots == "" {
		return
	}
	b.t.Helper()
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err == nil {
		err = os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o600)
	}
	if err != nil {
		b.t.Log(err)
	}
}

// press clicks without moving a mouse: lists that are drawn anew meanwhile do no harm.
func (b *browser) press(selector string) {
	b.t.Helper()
	b.sees(chromedp.CSS(selector), "")
	b.do("press "+selector, chromedp.Evaluate[chromedp.Void](`document.querySelector(`+"`"+selector+"`"+`).click()`))
}

const askingRule = `
def deploy(e):
    log.info("asked <b>for</b> it", app = e.match["app"], note = "xoxb-123456789012-abcdefghijkl")
    post(e.channel, "deploying " + e.match["app"])
    yes = ask("Deploy <img src=x onerror=document.title='pwned'> " + e.match["app"] + "?", ["Yes", "No"], to = "#ops", who = ["@grace"], timeout = "2h")
    post(e.channel, "said " + (yes.choice if yes else "nothing"))

on.message("^deploy (?P<app>\\w+)", deploy)
`

// The inspector tells what a run waits for and what would wake it, and an
// operator can answer in the place of people. What scripts and users wrote is
// text there, whatever it looks like.
func TestInspectorShowsTheTimeLineInChromium(t *testing.T) {
	slow(t)
	c, rules, page := dev(t, "quickstart")
	writeFile(t, filepath.Join(rules, "asking.star"), askingRule)
	c.until("takes the rule in", func() bool { return strings.Contains(c.out.String(), "7 rules live") })
	b := newBrowser(t, page)

	b.types("composer-input", "deploy api\r")
	b.sees(id("outcome"), "waiting")
	b.press(`[data-testid="event"][data-kind="message"].matched > summary`)
	b.press(`[data-testid="open-timeline"] > summary`)
	b.sees(id("story-wait"), "Waits: ask “Deploy <img src=x onerror=document.title='pwned'> api?”")
	b.sees(id("wake"), `by U0GRACE: "Yes", "No"`)
	b.sees(id("wake"), "starling runs continue ")
	b.sees(id("moment"), "asked <b>for</b> it")
	b.sees(id("moment"), "post done in")
	b.press(`[data-testid="moment"][data-what="log"] summary`)
	b.sees(id("moment"), `"note": "***"`)
	b.picture("timeline-waiting")

	b.do("a wrong answer", chromedp.SendKeys(id("run-answer"), "Yess"))
	b.press(`[data-testid="run-continue"]`)
	b.sees(id("story-said"), "did you mean Yes?")
	b.do("the right one", chromedp.Evaluate[chromedp.Void](`{
		const box = document.querySelector('[data-testid="run-answer"]');
		box.value = "Yes";
		box.dispatchEvent(new Event("input"));
	}`))
	b.press(`[data-testid="run-continue"]`)
	b.sees(id("message"), "said Yes")
	b.sees(id("moment"), "answered by an operator by the page of dev")
	b.sees(id("moment"), "2 results replayed")
	b.sees(id("run-retry"), "Retry")
	b.picture("timeline-done")
	title, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.title + document.querySelectorAll("img[src=x], .moment b").length`))
	if err != nil || strings.Contains(title, "pwned") || !strings.HasSuffix(title, "0") {
		t.Errorf("text has become HTML: %q %v", title, err)
	}
	b.clean()
	c.signal(syscall.SIGINT)
	c.exits(0)
}

// The page of the admin port lists what waits, and does what the command line
// does.
func TestAdminPageInChromium(t *testing.T) {
	slow(t)
	rules, admin := t.TempDir(), freeAddress(t)
	writeFile(t, filepath.Join(rules, "asking.star"), askingRule)
	c := run(t, nil, "dev", "--page", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--admin", admin, rules)
	address := regexp.MustCompile(`Local Slack: (http://\S+)`)
	c.until("prints the address of the page", func() bool { return address.MatchString(c.out.String()) })
	b := newBrowser(t, address.FindStringSubmatch(c.out.String())[1])
	b.types("composer-input", "deploy web\r")
	b.sees(id("outcome"), "waiting")

	b.do("open the admin page", chromedp.Navigate("http://"+admin+"/"), chromedp.WaitVisible(id("list-waiting")))
	b.sees(id("row"), "ask Deploy <img src=x onerror=document.title='pwned'> web?")
	b.press(`[data-testid="row"] a`)
	b.sees(id("story-wait"), "Waits: ask")
	b.picture("admin-waiting")
	b.do("the answer", chromedp.SendKeys(id("run-answer"), "No"))
	b.press(`[data-testid="run-continue"]`)
	b.sees(id("story"), "answered by an operator")
	b.press(`[data-testid="list-latest"]`)
	b.sees(id("row"), "done")
	b.press(`[data-testid="list-old"]`)
	b.sees(chromedp.CSS("#list"), "No run waits on an old version.")
	title, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`document.title + document.querySelectorAll("img").length`))
	if err != nil || title != "Runs · Starling0" {
		t.Errorf("text has become HTML: %q %v", title, err)
	}
	b.clean()
	c.signal(syscall.SIGINT)
	c.exits(0)
}
