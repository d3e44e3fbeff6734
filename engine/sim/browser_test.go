package sim

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// shots is where the browser test leaves pictures of the page.
var shots = flag.String("shots", "", "directory for screenshots of the page")

// browser is a page in Chromium, and what went wrong in it.
type browser struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	bad []string
}

func newBrowser(t *testing.T, at string) *browser {
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
	b.do("open page", chromedp.Navigate(at), chromedp.WaitVisible(id("composer-input")))
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

type step = chromedp.Action[chromedp.Void]

func (b *browser) do(what string, steps ...step) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 20*time.Second)
	defer cancel()
	err := chromedp.Do(ctx, steps...)
	for err != nil && ctx.Err() == nil && strings.Contains(err.Error(), "node with given id") {
		err = chromedp.Do(ctx, steps...) // the page was drawn anew in between
	}
	if err != nil {
		b.fail("%s: %v", what, err)
	}
}

func (b *browser) fail(format string, args ...any) {
	b.t.Helper()
	b.picture("failed")
	b.mu.Lock()
	defer b.mu.Unlock()
	b.t.Fatalf(format+" (console: %q)", append(args, b.bad)...)
}

// sees waits until a visible element that matches holds the text.
func (b *browser) sees(selector chromedp.CSS, text string) {
	b.t.Helper()
	js := fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.checkVisibility() && e.textContent.includes(%q))`, selector, text)
	for end := time.Now().Add(20 * time.Second); ; {
		ok, err := chromedp.Run(b.ctx, chromedp.Evaluate[bool](js))
		if err != nil {
			b.fail("look for %q in %s: %v", text, selector, err)
		}
		if ok {
			return
		}
		if time.Now().After(end) {
			b.fail("never saw %q in %s", text, selector)
		}
		b.do("wait", chromedp.Sleep(20*time.Millisecond))
	}
}

func (b *browser) types(box, text string) {
	b.t.Helper()
	b.do("type "+text, chromedp.SendKeys(id(box), text))
}

func (b *browser) click(selector chromedp.CSS) {
	b.t.Helper()
	b.do("click "+string(selector), chromedp.WaitVisible(selector), chromedp.Click(selector))
}

func (b *browser) media(feature, value string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: feature, Value: value}},
	})
	if err != nil {
		b.fail("emulate %s %s: %v", feature, value, err)
	}
}

func (b *browser) picture(name string) {
	if *shots == "" {
		return
	}
	b.t.Helper()
	_ = chromedp.Do(b.ctx, chromedp.Sleep(200*time.Millisecond))
	png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		b.t.Logf("screenshot %s: %v", name, err)
		return
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o600); err != nil {
		b.t.Log(err)
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

// deployApp answers like a small real app, through the Web API.
func deployApp(s *localSlack) func(http.ResponseWriter, delivered) {
	call := func(method string, args Block) { s.ok(method, args) }
	return func(w http.ResponseWriter, d delivered) {
		typ, _ := d.json["type"].(string)
		e := d.event()
		switch {
		case d.form.Get("command") == "/deploy":
			s.TraceEvent(EventTrace{
				ID: "tr-" + d.form.Get("trigger_id"), Kind: "command", Type: "slash_commands", Text: "/deploy " + d.form.Get("text"),
				User: "U0ADA", Channel: d.form.Get("channel_id"), At: s.Now(), Verdicts: []Verdict{{Rule: "deploy.star:12 /deploy", Matched: true}},
			})
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"text":"Deploy?","blocks":[
				{"type":"section","block_id":"q","text":{"type":"mrkdwn","text":"Deploy *`+d.form.Get("text")+`* to production?"}},
				{"type":"actions","block_id":"a","elements":[
					{"type":"button","action_id":"yes","style":"primary","value":"y","text":{"type":"plain_text","text":"Yes"}},
					{"type":"button","action_id":"form","text":{"type":"plain_text","text":"Details…"}},
					{"type":"static_select","action_id":"env","placeholder":{"type":"plain_text","text":"Environment"},"options":[
						{"value":"prod","text":{"type":"plain_text","text":"Production"}},{"value":"stage","text":{"type":"plain_text","text":"Staging"}}]}]}]}`)
		case d.form.Get("command") != "":
			w.WriteHeader(http.StatusInternalServerError)
		case typ == "event_callback" && e["type"] == "message" && e["bot_id"] == nil && e["subtype"] == nil:
			s.traceHello(d.json)
			if text, _ := e["text"].(string); strings.Contains(text, "hello") {
				args := Block{"channel": e["channel"], "text": "Hi <@U0ADA>, *welcome* :wave: see <https://example.com|the docs>"}
				if e["thread_ts"] != nil {
					args["thread_ts"] = e["thread_ts"]
				}
				call("chat.postMessage", args)
			}
		case typ == "block_actions":
			action, _ := d.json["actions"].([]any)[0].(Block)
			switch action["action_id"] {
			case "yes":
				s.respondTo(d, `{"replace_original":true,"text":"Deployed by <@U0ADA> :rocket:"}`)
			case "form":
				call("views.open", Block{"trigger_id": d.json["trigger_id"], "view": modalView("Deploy", "reason")})
			case "hi":
				call("views.publish", Block{"user_id": "U0ADA", "view": homeView("Thanks!")})
			}
		case typ == "view_submission":
			w.Header().Set("Content-Type", "application/json")
			if v, _ := json.Marshal(d.json["view"]); !strings.Contains(string(v), "because") {
				_, _ = io.WriteString(w, `{"response_action":"errors","errors":{"reason":"Say why: because …"}}`)
			}
		case typ == "event_callback" && e["type"] == "app_home_opened":
			call("views.publish", Block{"user_id": e["user"], "view": homeView("Nothing is on fire.")})
		}
	}
}

func (s *localSlack) respondTo(d delivered, body string) {
	to, _ := d.json["response_url"].(string)
	res, err := http.Post(to, "application/json", strings.NewReader(body))
	if err != nil {
		s.t.Error(err)
		return
	}
	_ = res.Body.Close()
}

func (s *localSlack) Now() time.Time { return s.opt.Now() }

func (s *localSlack) traceHello(envelope Block) {
	e, _ := envelope["event"].(Block)
	event, _ := envelope["event_id"].(string)
	text, _ := e["text"].(string)
	channel, _ := e["channel"].(string)
	s.TraceEvent(EventTrace{
		ID: event, Kind: "message", Type: "message", Text: text, User: "U0ADA", Channel: channel, At: s.Now(),
		Verdicts: []Verdict{
			{Rule: "deploy.star:12 /deploy", Reason: "kind is message, not command"},
			{Rule: "greet.star:3 message", Matched: strings.Contains(text, "hello"), Reason: "regex `hello` not found"},
		},
	})
	if strings.Contains(text, "hello") {
		s.TraceRun(RunTrace{
			ID: "run-" + event, EventID: event, Rule: "greet.star:3 message", Outcome: "done", Steps: 57, Ms: 1.84,
			Effects: []EffectTrace{{Step: 1, Kind: "post", Args: json.RawMessage(`{"channel":"` + channel + `","text":"Hi"}`), Result: json.RawMessage(`{"ok":true,"ts":"1.2"}`), Ms: 1.2}},
			Logs:    []LogTrace{{Level: "INFO", Text: "greeting ada", Pos: "greet.star:4:5"}},
		})
	}
}

func modalView(title, block string) Block {
	plain := func(s string) Block { return Block{"type": "plain_text", "text": s} }
	return Block{
		"type": "modal", "callback_id": "deploy", "title": plain(title), "submit": plain("Deploy"), "notify_on_close": true,
		"blocks": []Block{
			{"type": "section", "text": Block{"type": "mrkdwn", "text": "This goes to *production*."}},
			{"type": "input", "block_id": block, "label": plain("Reason"), "element": Block{"type": "plain_text_input", "action_id": "text", "multiline": true}},
			{"type": "input", "block_id": "when", "optional": true, "label": plain("When"), "element": Block{"type": "datepicker", "action_id": "date"}},
			{"type": "input", "block_id": "who", "optional": true, "label": plain("Who approves"), "element": Block{"type": "users_select", "action_id": "user"}},
		},
	}
}

func homeView(text string) Block {
	return Block{"type": "home", "blocks": []Block{
		{"type": "header", "text": Block{"type": "plain_text", "text": "Deploys"}},
		{"type": "section", "text": Block{"type": "mrkdwn", "text": text}},
		{"type": "actions", "elements": []Block{{"type": "button", "action_id": "hi", "text": Block{"type": "plain_text", "text": "Say thanks"}}}},
	}}
}

// run serves s on a real listener and returns the page's address.
func (s *localSlack) run() string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.SetURL("")
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, ln) }()
	s.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	return "http://" + ln.Addr().String() + "/"
}

func TestPageInChromium(t *testing.T) {
	t.Parallel()
	s := newSlack(t, func(o *Options) { o.Now = time.Now })
	s.SetCatalog(Catalog{
		Commands:  []CatalogItem{{Name: "/deploy", Usage: "<app>", Help: "ship it"}, {Name: "/broken", Help: "fails"}},
		Shortcuts: []CatalogItem{{Name: "new_incident", Help: "New incident"}}, MessageActions: []CatalogItem{{Name: "to_ticket", Help: "Make a ticket"}},
	})
	s.app.reply(deployApp(s))
	b := newBrowser(t, s.run())

	b.types("composer-input", "hello @starling & <b>everyone</b>\r")
	b.sees(id("message"), "hello @starling & <b>everyone</b>")
	b.sees(id("message"), "Hi @ada, welcome 👋 see the docs")
	b.sees(id("event"), "hello")
	b.click(id("event") + "[data-kind=message].matched summary")
	b.sees(id("verdict"), "greet.star:3 message")
	b.sees(id("run"), "57 steps")
	b.sees(id("log"), "greeting ada")

	b.types("composer-input", "/dep")
	b.sees(id("complete"), "ship it")
	b.types("composer-input", "\tapi\r")
	b.sees(id("ephemeral"), "Deploy api to production?")
	b.sees(id("ephemeral"), "Only visible to you")
	b.picture("light")

	b.click(id("action-form"))
	b.sees(id("modal-title"), "Deploy")
	b.click(id("modal-submit"))
	b.sees(id("error-reason"), "required")
	b.types("action-text", "no reason")
	b.click(id("modal-submit"))
	b.sees(id("error-reason"), "Say why")
	b.picture("modal")
	b.do("clear", chromedp.SetValue(id("action-text"), "because it is Friday"))
	b.click(id("modal-submit"))
	b.do("modal closes", chromedp.WaitNotPresent(id("modal")))

	b.click(id("action-yes"))
	b.sees(id("ephemeral"), "Deployed by @ada 🚀")
	b.types("composer-input", "/broken\r")
	b.sees(id("ephemeral"), `/broken failed with the error "dispatch_failed"`)

	b.do("reach the tools by keyboard", chromedp.Focus(id("message")))
	b.click(id("tool-react"))
	b.types("emoji-input", "tada\r")
	b.sees(id("reaction-tada"), "1")
	b.do("reach the tools by keyboard", chromedp.Focus(id("message")))
	b.click(id("tool-thread"))
	b.types("thread-input", "hello in a thread\r")
	b.sees(id("thread-messages"), "welcome")
	b.sees(id("replies"), "2 replies")
	b.picture("thread")
	b.click(id("thread-close"))

	b.click(id("home"))
	b.sees(id("app-home"), "Nothing is on fire.")
	b.click(id("action-hi"))
	b.sees(id("app-home"), "Thanks!")
	b.click(id("channel-general"))
	b.do("act as Grace", chromedp.SetValue(id("act-as"), "U0GRACE"),
		chromedp.Evaluate[chromedp.Void](`document.getElementById("act-as").dispatchEvent(new Event("change"))`))
	b.do("Ada's ephemeral messages are gone", chromedp.WaitNotPresent(id("ephemeral")))

	b.media("prefers-color-scheme", "dark")
	b.picture("dark")
	b.click(id("tab-faults"))
	b.sees(id("clock"), "as this machine's")
	b.click(id("clock-30m"))
	b.sees(id("clock"), "30 min ahead of this machine")
	b.types("clock-advance", "1h1s\r")
	b.sees(id("clock"), "1 h 30 min 1 s ahead of this machine")
	b.picture("faults")
	b.do("narrow", chromedp.EmulateViewport(420, 800))
	b.picture("narrow")
	b.clean()
}

func TestPageNeverTurnsTextIntoHTML(t *testing.T) {
	t.Parallel()
	s := newSlack(t, func(o *Options) { o.Now = time.Now })
	evil := `<script>window.pwned=1</script><img src=x onerror="window.pwned=2">`
	for _, args := range []Block{
		{"text": evil},
		{"text": "<javascript:alert(1)|click me> <data:text/html,x|me too> <https://example.com/?a=1&amp;b=2|fine>"},
		{"text": "x", "blocks": []Block{
			{"type": "section", "text": Block{"type": "mrkdwn", "text": evil}, "accessory": Block{"type": "button", "action_id": "b", "url": "javascript:alert(2)", "text": Block{"type": "plain_text", "text": evil}}},
			{"type": "header", "text": Block{"type": "plain_text", "text": evil}},
			{"type": "image", "image_url": "javascript:alert(3)", "alt_text": evil},
			{"type": "rich_text", "elements": []Block{{"type": "rich_text_section", "elements": []Block{{"type": "link", "url": "javascript:alert(4)", "text": evil}}}}},
		}},
		{"text": "x", "attachments": []Block{{"title": evil, "title_link": "javascript:alert(5)", "text": evil, "color": `red;background:url(x)`}}},
		{"text": "x", "username": evil},
	} {
		args["channel"] = "C0GENERAL"
		s.ok("chat.postMessage", args)
	}
	s.TraceEvent(EventTrace{ID: "E1", Kind: "webhook", Text: evil, At: time.Now(), Verdicts: []Verdict{{Rule: evil, Reason: evil}}})
	b := newBrowser(t, s.run())
	b.sees(id("message"), evil)
	b.sees(id("message"), "click me")
	b.click(id("event") + "[data-kind=webhook] summary")
	b.sees(id("verdict"), evil)
	found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`JSON.stringify({
		pwned: window.pwned ?? null,
		scripts: document.querySelectorAll("#main script, #main img, #inspector script, #inspector img").length,
		bad: [...document.querySelectorAll("a[href]")].map((a) => a.protocol).filter((p) => !["http:", "https:", "mailto:"].includes(p)),
		good: [...document.querySelectorAll("#main a[href^=https]")].map((a) => a.href),
	})`))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"pwned":null,"scripts":0,"bad":[],"good":["https://example.com/?a=1&b=2"]}`; found != want {
		t.Errorf("page holds %s, want %s", found, want)
	}
	b.clean()
}
