package scripttest

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// Formats are the names that NewReporter takes.
var Formats = []string{"pretty", "json", "junit", "tap", "github"}

// Reporter writes what came of tests. Test is called for each, in order, then
// End once.
type Reporter interface {
	Test(*Test)
	End(*Result) error
}

// ReportOptions are those of NewReporter.
type ReportOptions struct {
	// Verbose also tells of tests that passed, and what they printed.
	Verbose bool
	// Colour uses the colours of terminals (pretty only).
	Colour bool
}

// NewReporter returns the reporter of a format: one of Formats, else nil.
func NewReporter(format string, w io.Writer, o ReportOptions) Reporter {
	switch format {
	case "pretty", "":
		return &pretty{w: w, o: o}
	case "json":
		return &jsonLines{w: w}
	case "junit":
		return &junit{w: w}
	case "tap":
		return &tap{w: w}
	case "github":
		return &github{pretty: pretty{w: w, o: o}}
	}
	return nil
}

// pretty is for people.
type pretty struct {
	w io.Writer
	o ReportOptions
}

const (
	red   = "\x1b[31m"
	green = "\x1b[32m"
	dim   = "\x1b[2m"
	reset = "\x1b[0m"
)

func (p *pretty) colour(code, s string) string {
	if !p.o.Colour {
		return s
	}
	return code + s + reset
}

// Test implements Reporter.
func (p *pretty) Test(t *Test) {
	switch {
	case t.Skipped:
		return
	case len(t.Failures) == 0 && !p.o.Verbose && t.Bench == nil:
		return
	case len(t.Failures) == 0:
		line := p.colour(green, "ok") + "    " + t.File + ": " + t.Name
		if t.Bench != nil {
			line += fmt.Sprintf("  %d times, %s each", t.Bench.N, t.Bench.PerOp.Round(time.Microsecond))
		} else {
			line += p.colour(dim, " ("+shortly(t.Took)+")")
		}
		fmt.Fprintln(p.w, line)
		if p.o.Verbose {
			p.logs(t)
		}
		return
	}
	fmt.Fprintln(p.w, p.colour(red, "FAIL")+"  "+t.File+": "+t.Name)
	for _, f := range t.Failures {
		fmt.Fprint(p.w, indent(p.paint(f.Text()), "  "))
	}
	p.logs(t)
	fmt.Fprintln(p.w)
}

func (p *pretty) logs(t *Test) {
	for _, l := range t.Logs {
		fmt.Fprintln(p.w, "  | "+l)
	}
}

// paint colours the lines of a diff.
func (p *pretty) paint(s string) string {
	if !p.o.Colour {
		return s
	}
	lines := strings.SplitAfter(s, "\n")
	for i, l := range lines {
		switch {
		case strings.HasPrefix(l, "-"):
			lines[i] = green + strings.TrimSuffix(l, "\n") + reset + "\n"
		case strings.HasPrefix(l, "+"):
			lines[i] = red + strings.TrimSuffix(l, "\n") + reset + "\n"
		}
	}
	return strings.Join(lines, "")
}

// shortly is a time in milliseconds, or seconds if it takes so long.
func shortly(d time.Duration) string {
	if d >= time.Second {
		return d.Round(10 * time.Millisecond).String()
	}
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// End implements Reporter. Its last line is that of SPEC §12.
func (p *pretty) End(r *Result) error {
	if r.Skipped > 0 {
		fmt.Fprintf(p.w, "%d not run: stopped at the first failure\n", r.Skipped)
	}
	line := fmt.Sprintf("%d passed, %d failed", r.Passed, r.Failed)
	code := green
	if r.Failed > 0 {
		code = red
	}
	_, err := fmt.Fprintln(p.w, p.colour(code, line))
	return err
}

func indent(s, by string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, l := range lines {
		if l != "" {
			lines[i] = by + l
		}
	}
	return strings.Join(lines, "\n") + "\n"
}

// Text is the failure as people read it: place, source with caret, hint, diff,
// and what the run did.
func (f *Failure) Text() string {
	var b strings.Builder
	if f.Case != "" {
		fmt.Fprintf(&b, "case %s\n", f.Case)
	}
	e := f.Error
	b.WriteString(e.Detail())
	for _, more := range f.More {
		b.WriteString(more)
	}
	b.WriteString(f.Diff)
	if f.Run != nil {
		f.Run.write(&b)
	}
	return b.String()
}

func (n *RunNote) write(b *strings.Builder) {
	fmt.Fprintf(b, "%s at %s: %s\n", n.What, n.At, n.Outcome)
	list := func(title string, lines []string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(b, "  %s:\n", title)
		for _, l := range lines {
			b.WriteString(indent(l, "    "))
		}
	}
	list("rules", n.Rules)
	list("effects", n.Effects)
	list("log", n.Logs)
	list("errors", n.Errors)
	list("no rule ran", n.Why)
}

// jsonLines writes a line of JSON for each test, and one for the end.
type jsonLines struct{ w io.Writer }

type jsonFailure struct {
	*runtime.Error
	Case string   `json:"case,omitempty"`
	Diff string   `json:"diff,omitempty"`
	Run  *RunNote `json:"run,omitempty"`
	More []string `json:"more,omitempty"`
}

// Test implements Reporter.
func (j *jsonLines) Test(t *Test) {
	out := struct {
		Test     string        `json:"test"`
		File     string        `json:"file"`
		Line     int           `json:"line"`
		Outcome  string        `json:"outcome"`
		Ms       float64       `json:"dur_ms"`
		Failures []jsonFailure `json:"failures,omitempty"`
		Logs     []string      `json:"logs,omitempty"`
		Times    int           `json:"times,omitempty"`
		Ns       int64         `json:"ns_per_op,omitempty"`
	}{Test: t.Name, File: t.File, Line: t.Line, Outcome: t.outcome(), Ms: float64(t.Took.Microseconds()) / 1000, Logs: t.Logs}
	for _, f := range t.Failures {
		out.Failures = append(out.Failures, jsonFailure{&f.Error, f.Case, f.Diff, f.Run, f.More})
	}
	if t.Bench != nil {
		out.Times, out.Ns = t.Bench.N, t.Bench.PerOp.Nanoseconds()
	}
	_ = writeLine(j.w, out) // a lost stdout shows in End
}

func writeLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func (t *Test) outcome() string {
	switch {
	case t.Skipped:
		return "skipped"
	case len(t.Failures) > 0:
		return "failed"
	}
	return "passed"
}

// End implements Reporter.
func (j *jsonLines) End(r *Result) error {
	return writeLine(j.w, struct {
		Passed  int     `json:"passed"`
		Failed  int     `json:"failed"`
		Skipped int     `json:"skipped"`
		Ms      float64 `json:"dur_ms"`
	}{r.Passed, r.Failed, r.Skipped, float64(r.Took.Microseconds()) / 1000})
}

// junit writes one document at the end.
type junit struct{ w io.Writer }

type junitSuites struct {
	XMLName  xml.Name      `xml:"testsuites"`
	Tests    int           `xml:"tests,attr"`
	Failures int           `xml:"failures,attr"`
	Skipped  int           `xml:"skipped,attr"`
	Time     string        `xml:"time,attr"`
	Suites   []*junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Skipped  int         `xml:"skipped,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Line    int           `xml:"line,attr"`
	Time    string        `xml:"time,attr"`
	Failed  *junitFailure `xml:"failure,omitempty"`
	Skipped *struct{}     `xml:"skipped,omitempty"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Text    string `xml:",chardata"`
}

// Test implements Reporter: everything is written at the end.
func (*junit) Test(*Test) {}

// End implements Reporter.
func (j *junit) End(r *Result) error {
	all := &junitSuites{Tests: len(r.Tests), Failures: r.Failed, Skipped: r.Skipped, Time: seconds(r.Took)}
	for _, t := range r.Tests {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != t.File {
			all.Suites = append(all.Suites, &junitSuite{Name: t.File})
		}
		s := all.Suites[len(all.Suites)-1]
		s.Tests++
		c := junitCase{Name: t.Name, Class: strings.ReplaceAll(strings.TrimSuffix(t.File, "_test"+filepath.Ext(t.File)), "/", "."), File: t.File, Line: t.Line, Time: seconds(t.Took), Out: xmlText(strings.Join(t.Logs, "\n"))}
		switch {
		case t.Skipped:
			s.Skipped++
			c.Skipped = &struct{}{}
		case len(t.Failures) > 0:
			s.Failures++
			var b strings.Builder
			for _, f := range t.Failures {
				b.WriteString(f.Text())
			}
			c.Failed = &junitFailure{Message: xmlText(t.Failures[0].Error.Error()), Text: xmlText(b.String())}
		}
		s.Cases = append(s.Cases, c)
	}
	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err = fmt.Fprintf(j.w, "%s%s\n", xml.Header, out)
	return err
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

// xmlText drops what XML cannot hold.
func xmlText(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 && r != '\n' && r != '\t' || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, s)
}

// tap writes the Test Anything Protocol, version 13.
type tap struct {
	w io.Writer
	n int
}

// Test implements Reporter.
func (p *tap) Test(t *Test) {
	if p.n == 0 {
		fmt.Fprintln(p.w, "TAP version 13")
	}
	p.n++
	name := strings.ReplaceAll(t.File+": "+t.Name, "#", "\\#")
	switch {
	case t.Skipped:
		fmt.Fprintf(p.w, "ok %d - %s # SKIP\n", p.n, name)
	case len(t.Failures) == 0:
		fmt.Fprintf(p.w, "ok %d - %s\n", p.n, name)
	default:
		fmt.Fprintf(p.w, "not ok %d - %s\n", p.n, name)
		for _, f := range t.Failures {
			fmt.Fprint(p.w, indent(f.Text(), "# "))
		}
	}
}

// End implements Reporter.
func (p *tap) End(r *Result) error {
	_, err := fmt.Fprintf(p.w, "1..%d\n", len(r.Tests))
	return err
}

// github writes annotations for the log of a workflow, beside what people read.
type github struct{ pretty }

// Test implements Reporter.
func (g *github) Test(t *Test) {
	g.pretty.Test(t)
	for _, f := range t.Failures {
		file, line, col := f.Error.Pos.Path, max(f.Error.Pos.Line, 1), max(f.Error.Pos.Col, 1)
		fmt.Fprintf(g.w, "::error file=%s,line=%d,col=%d,title=%s::%s\n", property(file), line, col, property(t.Name), annotation(f.Error.Msg+"\n"+f.Error.Hint+"\n"+f.Diff))
	}
}

// annotation and property escape as workflow commands want it.
func annotation(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(strings.TrimSpace(s))
}

func property(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
