package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/starling-rules/starling/engine/explain"
)

// printExplained shows what the rules make of an event.
func (c *command) printExplained(rep *explain.Report, x *explaining) error {
	if x.json {
		return writeJSON(c.env.Stdout, rep)
	}
	out, s := c.env.Stdout, c.style(c.env.Stdout)
	printEvent(out, s, rep)
	others := 0
	for i := range rep.Rules {
		r := &rep.Rules[i]
		if !r.Matched && !x.all && otherKind(r, rep.Event.Kind) {
			others++
			continue
		}
		printVerdict(out, s, r)
	}
	if others < len(rep.Rules) {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "%s of %s", counted(rep.Matched, "rule matches", "rules match"), counted(len(rep.Rules), "rule", "rules"))
	if others > 0 {
		fmt.Fprintf(out, "; %s for other kinds of events (--all shows them)", counted(others, "is", "are"))
	}
	fmt.Fprintln(out, ".")
	if a := rep.Answer; a != nil {
		printAnswer(out, s, a)
	}
	if sk, ok := rep.Skeletons[x.lang]; ok {
		fmt.Fprintf(out, "\nThis rule would match. Save it as %s in your rules directory and go on from there:\n\n%s", s.bold(sk.File), sk.Text)
	}
	return nil
}

// otherKind reports whether a rule has nothing to do with events of the kind.
func otherKind(r *explain.Rule, kind string) bool {
	switch r.Kind {
	case kind, "event":
		return r.Kind == "event" && kind != "event" && strings.HasPrefix(r.Why, "the event's type")
	case "mention":
		return kind != "message"
	}
	return true
}

func printEvent(out io.Writer, s style, rep *explain.Report) {
	e := rep.Event
	kind := e.Kind
	if e.Type != "" && e.Type != e.Kind {
		kind += " (" + e.Type + ")"
	}
	fmt.Fprint(out, s.bold(kind))
	if e.Channel != "" {
		fmt.Fprint(out, " in "+e.Channel)
	}
	if e.Thread != "" {
		fmt.Fprint(out, ", thread "+e.Thread)
	}
	if e.User != "" {
		fmt.Fprint(out, " by "+e.User)
	}
	fmt.Fprintln(out, s.dim("  "+e.ID))
	if e.Headline != "" {
		fmt.Fprintln(out, "  "+shorten(e.Headline, 200))
	}
	for _, n := range rep.Notes {
		fmt.Fprintln(out, s.yellow("  note: ")+n)
	}
	fmt.Fprintln(out)
}

func printVerdict(out io.Writer, s style, r *explain.Rule) {
	mark := s.dim("no      ")
	if r.Matched {
		mark = s.green("matched ")
	}
	fmt.Fprintf(out, "%s %s  %s\n", mark, s.bold(r.ID), s.dim(r.On+" at "+r.Position))
	const in = "         "
	if r.Why != "" {
		fmt.Fprintln(out, in+indent(r.Why, in))
	}
	for _, run := range r.Runs {
		for _, e := range run.Effects {
			fmt.Fprintf(out, "%s%s %s%s\n", in, s.cyan(e.Kind), compact(e.Args), s.red(prefixed("  ", e.Error)))
		}
		for _, l := range run.Logs {
			fmt.Fprintln(out, in+s.dim("log: ")+indent(l, in))
		}
		if run.Error != "" {
			fmt.Fprintln(out, in+s.red(indent(strings.TrimRight(run.Error, "\n"), in)))
		}
		fmt.Fprintf(out, "%s%s\n", in, s.dim(run.Outcome+", "+counted(len(run.Effects), "effect", "effects")))
	}
}

func printAnswer(out io.Writer, s style, a *explain.Answer) {
	fmt.Fprintf(out, "\n%s %d", s.bold("Answer:"), a.Status)
	if a.ContentType != "" {
		fmt.Fprint(out, " "+a.ContentType)
	}
	fmt.Fprintln(out)
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		fmt.Fprintf(out, "  %s: %s\n", name, a.Headers[name])
	}
	if a.Body == "" {
		fmt.Fprintln(out, s.dim("  (empty)"))
		return
	}
	body := a.Body
	var pretty bytes.Buffer
	if strings.HasPrefix(a.ContentType, "application/json") && json.Indent(&pretty, []byte(body), "", "  ") == nil {
		body = pretty.String()
	}
	fmt.Fprintln(out, "  "+indent(strings.TrimRight(body, "\n"), "  "))
}

// compact is JSON on one line, not too long.
func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return clip(string(raw))
	}
	return clip(b.String())
}

// indent puts prefix in front of every line but the first.
func indent(text, prefix string) string { return strings.ReplaceAll(text, "\n", "\n"+prefix) }

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
