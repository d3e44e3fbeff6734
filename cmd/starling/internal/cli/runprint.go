package cli

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/starling-rules/starling/engine/dispatch"
	"github.com/starling-rules/starling/engine/timeline"
)

// runPrinter writes what is known of runs for people: aligned, and broken into
// lines of the terminal's width.
type runPrinter struct {
	out   io.Writer
	style style
	now   time.Time
	width int
	// full shows every pass, and requests and answers at any length.
	full bool
	day  string // of the latest moment
}

// Bounds of a line where the terminal does not say how wide it is, or is too
// narrow to tell anything.
const (
	usualWidth = 100
	leastWidth = 50
	clipped    = 400 // characters of a request or answer, without --full
)

func (c *command) runPrinter(full bool) *runPrinter {
	p := &runPrinter{out: c.env.Stdout, style: c.style(c.env.Stdout), now: c.env.Now(), width: usualWidth, full: full}
	if f, ok := c.env.Stdout.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			p.width = w
		}
	}
	if w, err := strconv.Atoi(c.env.Getenv("COLUMNS")); err == nil && w > 0 {
		p.width = w
	}
	p.width = max(p.width, leastWidth)
	return p
}

// event prints the runs of an event; if id is that of a run, only this one.
func (p *runPrinter) event(rep dispatch.EventReport, id string) {
	fmt.Fprintf(p.out, "event %s  %s %s  stored %s\n", rep.ID, rep.Kind, rep.Type, rep.Stored.Format(time.RFC3339))
	about := strings.TrimSpace(oneLine(rep.About))
	if about != "" {
		about = strconv.Quote(about)
	}
	if rep.User != "" {
		about += " by " + rep.User
	}
	if rep.Channel != "" {
		about += " in " + rep.Channel
	}
	p.wrapped("      ", "      ", strings.TrimSpace(about))
	if rep.Reason != "" {
		fmt.Fprintf(p.out, "dead: %s\n", rep.Reason)
	}
	for i := range rep.Runs {
		if run := &rep.Runs[i]; id == rep.ID || id == run.ID {
			p.run(run)
		}
	}
}

func (p *runPrinter) run(run *dispatch.RunReport) {
	fmt.Fprintf(p.out, "\n%s  %s  %s\n", p.style.bold("run "+run.ID), run.Rule, p.outcome(run))
	version := short(run.Version)
	switch {
	case run.Old && run.InForce != "":
		version += ", older than the one in force (" + short(run.InForce) + ")"
	case run.Old:
		version += ": the rule is gone, or its file"
	}
	p.fact("version", version)
	if run.Passes > 0 {
		p.fact("work", fmt.Sprintf("%d steps in %s, %s, of which the script took %s", run.Steps, count(run.Passes, "pass", "passes"), millis(run.Ms), millis(run.ScriptMs)))
	}
	if run.Wait != nil {
		p.waits(run)
	}
	if run.Reason != "" {
		p.fact("why", "not run: its rule is "+run.Reason)
	}
	p.day = ""
	for i := range run.Timeline {
		p.moment(&run.Timeline[i])
	}
	if run.Error != nil {
		fmt.Fprintf(p.out, "\n%s", run.Error.Detail())
	}
}

// outcome tells a run that waits for something from one that is under way.
func (p *runPrinter) outcome(run *dispatch.RunReport) string {
	switch run.Outcome {
	case dispatch.Done:
		return p.style.green(string(run.Outcome))
	case dispatch.Failed, dispatch.Dead:
		return p.style.red(string(run.Outcome))
	case dispatch.Waiting:
		if run.Wait == nil {
			return p.style.yellow("under way")
		}
		return p.style.yellow(string(run.Outcome))
	}
	return string(run.Outcome)
}

// waits says what the run waits for, and how to wake it.
func (p *runPrinter) waits(run *dispatch.RunReport) {
	w := run.Wait
	text := w.Kind
	if w.Title != "" {
		text += " " + strconv.Quote(oneLine(w.Title))
	}
	if !w.Since.IsZero() {
		text += ", for " + span(p.now.Sub(w.Since)) + " now"
	}
	switch left := w.Until.Sub(p.now); {
	case w.Until.IsZero():
		text += ", without an end"
	case left > 0:
		text += ", until " + w.Until.Local().Format(time.DateTime) + " (" + span(left) + " to go)"
	default:
		text += ", until " + w.Until.Local().Format(time.DateTime) + " (due)"
	}
	p.fact("waits", text)
	for i, wake := range w.Wakes {
		p.fact([]string{"wakes", ""}[min(i, 1)], wake)
	}
	if len(w.State) > 0 && p.full {
		p.fact("so far", string(w.State))
	}
}

func (p *runPrinter) fact(name, text string) {
	p.wrapped("  "+p.style.dim(pad(name, 8))+" ", strings.Repeat(" ", 11), text)
}

// The columns of a time line.
const (
	momentIndent = "                    "
	clockFormat  = "15:04:05.000"
)

func (p *runPrinter) moment(m *timeline.Moment) {
	if m.What == timeline.Pass && !p.full && (m.Pass < 2 || m.Replayed == 0) {
		return // the first passes go without saying
	}
	clock := strings.Repeat(" ", len(clockFormat))
	if !m.At.IsZero() {
		at := m.At.Local()
		if day := at.Format(time.DateOnly); day != p.day {
			p.day = day
			fmt.Fprintf(p.out, "\n  %s\n", p.style.dim(day))
		}
		clock = at.Format(clockFormat)
	}
	step := "  "
	if m.What == timeline.Effect || m.What == timeline.Waiting || m.What == timeline.Answered {
		if step = fmt.Sprintf("%2d", m.Step); m.Step == 0 {
			step = " ·" // done by the server, with the returned value
		}
	}
	p.wrapped("  "+p.style.dim(clock)+"  "+p.style.dim(step)+"  ", momentIndent+"  ", p.told(m))
	if m.What == timeline.Effect {
		p.said("→ ", m.Request)
		if m.Error == "" {
			p.said("← ", m.Answer)
		}
	}
	if m.What == timeline.Answered {
		p.said("← ", m.Answer)
	}
}

// told is a moment in words.
func (p *runPrinter) told(m *timeline.Moment) string {
	at := ""
	if m.Pos != "" {
		at = "  " + p.style.dim(m.Pos)
	}
	switch m.What {
	case timeline.Event:
		return "event " + m.Kind + " is stored, version " + short(m.Version)
	case timeline.Pass:
		if m.Text != "" {
			return p.style.dim(m.Text)
		}
		return p.style.dim(fmt.Sprintf("pass %d, %s replayed, %d steps, %s", m.Pass, count(m.Replayed, "result", "results"), m.Steps, millis(m.Ms)))
	case timeline.Log:
		text := strings.ToLower(m.Level) + ": " + oneLine(m.Text)
		if len(m.Attrs) > 0 {
			text += " " + string(m.Attrs)
		}
		return p.level(m.Level, text) + at
	case timeline.Effect:
		text := p.style.bold(m.Kind) + " " + m.State
		if m.Ms > 0 {
			text += " in " + millis(m.Ms)
		}
		if m.Error != "" {
			text += ": " + p.style.red(oneLine(m.Error))
		}
		return text + at
	case timeline.Waiting:
		return p.style.bold(m.Kind) + " " + p.style.yellow(m.State) + waited(m) + at
	case timeline.Answered:
		return p.answered(m)
	case timeline.End:
		why := oneLine(cmp.Or(m.Error, m.Text))
		switch {
		case why == "":
			return p.style.bold(m.State)
		case strings.HasPrefix(why, m.State): // cancelled by ann
			return p.style.bold(why)
		}
		return p.style.bold(m.State) + ": " + why
	}
	return oneLine(m.Text)
}

func waited(m *timeline.Moment) (text string) {
	if m.Wait != nil && m.Wait.Title != "" {
		text = " " + strconv.Quote(oneLine(m.Wait.Title))
	}
	if m.Ms > 0 {
		text += ", " + span(time.Duration(m.Ms*float64(time.Millisecond)))
	}
	return text
}

// answered says who or what ended a wait.
func (p *runPrinter) answered(m *timeline.Moment) string {
	text := map[string]string{
		"event": "answered", "timeout": "the time was over", "operator": "answered by an operator", "cancel": "cancelled by an operator",
	}[m.By]
	text = p.style.green(cmp.Or(text, "answered"))
	if m.User != "" {
		text += " by " + m.User
	}
	if m.Text != "" {
		text += ", " + oneLine(m.Text)
	}
	return text
}

func (p *runPrinter) level(level, text string) string {
	switch level {
	case "ERROR":
		return p.style.red(text)
	case "WARN":
		return p.style.yellow(text)
	}
	return p.style.cyan(text)
}

func (p *runPrinter) said(arrow string, what json.RawMessage) {
	if len(what) == 0 || string(what) == "null" {
		return
	}
	text := string(what)
	if r := []rune(text); !p.full && len(r) > clipped {
		text = string(r[:clipped]) + "…"
	}
	p.wrapped(momentIndent+p.style.dim(arrow), momentIndent+"  ", text)
}

// wrapped prints a text in lines that fit, behind a first and below a further
// indent. The sequences that colour it take no room.
func (p *runPrinter) wrapped(first, further, text string) {
	if text == "" {
		return
	}
	indent := first
	for text != "" {
		line, rest := breakLine(text, max(p.width-visible(indent), 20))
		fmt.Fprintln(p.out, strings.TrimRight(indent+line, " "))
		text, indent = rest, further
	}
}

// breakLine takes as much of a text as fits into the room, up to a space, or
// behind a comma, a brace or a slash if there is none near the end.
func breakLine(text string, room int) (line, rest string) {
	used, space, other := 0, -1, -1
	for i := 0; i < len(text); {
		if n := escape(text[i:]); n > 0 {
			i += n
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if used++; used > room {
			at := i
			switch {
			case space > 0 && (space*2 > i || other < 0):
				at = space
			case other > 0:
				at = other
			}
			return text[:at], strings.TrimLeft(text[at:], " ")
		}
		switch r {
		case ' ':
			space = i
		case ',', '}', ']', '/', '&':
			other = i + size
		}
		i += size
	}
	return text, ""
}

// escape is the length of the sequence for a colour that a text begins with.
func escape(text string) int {
	if !strings.HasPrefix(text, "\x1b[") {
		return 0
	}
	return strings.IndexByte(text, 'm') + 1
}

func visible(text string) (n int) {
	for text != "" {
		if skip := escape(text); skip > 0 {
			text = text[skip:]
			continue
		}
		_, size := utf8.DecodeRuneInString(text)
		text = text[size:]
		n++
	}
	return n
}

// oneLine keeps what scripts and users wrote from breaking lines or driving
// the terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0:
			return '\ufffd'
		}
		return r
	}, text)
}

func pad(text string, n int) string { return text + strings.Repeat(" ", max(0, n-len(text))) }

func short(version string) string { return version[:min(12, len(version))] }

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return strconv.Itoa(n) + " " + many
}

// millis writes a time that work took.
func millis(ms float64) string {
	switch {
	case ms >= 10_000:
		return span(time.Duration(ms * float64(time.Millisecond)))
	case ms >= 1000:
		return fmt.Sprintf("%.1f s", ms/1000)
	case ms >= 10:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return fmt.Sprintf("%.1f ms", ms)
}

// span writes a time that people wait: its two largest units.
func span(d time.Duration) string {
	s := int64(max(d, 0) / time.Second)
	switch {
	case s >= 86400:
		return fmt.Sprintf("%dd%02dh", s/86400, s%86400/3600)
	case s >= 3600:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	case s >= 60:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%ds", s)
}
