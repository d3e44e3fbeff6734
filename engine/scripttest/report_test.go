package scripttest_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
)

// report is what a format says of two tests, one of which fails.
func report(t *testing.T, format string, o scripttest.ReportOptions) string {
	t.Helper()
	var b bytes.Buffer
	rep := scripttest.NewReporter(format, &b, o)
	if rep == nil {
		t.Fatalf("no format %q", format)
	}
	res := run(t, map[string]string{"b.star": broken, "b_test.star": "def test_good(t):\n    print(\"fine\")\ndef test_bad(t):\n    assert.eq(1, 2, \"50% of it\")\n"},
		func(o *scripttest.Options) { o.Each = rep.Test })
	if err := rep.End(res); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestFormats(t *testing.T) {
	t.Parallel()
	pretty := report(t, "pretty", scripttest.ReportOptions{})
	contains(t, pretty, "FAIL  ", "50% of it: not equal", "-2\n  +1\n")
	if !strings.HasSuffix(pretty, "\n1 passed, 1 failed\n") || strings.Contains(pretty, "test_good") || strings.Contains(pretty, "\x1b") {
		t.Errorf("pretty:\n%s", pretty)
	}
	contains(t, report(t, "pretty", scripttest.ReportOptions{Verbose: true}), "ok    ", "test_good (", "  | fine\n")
	contains(t, report(t, "pretty", scripttest.ReportOptions{Colour: true}), "\x1b[31mFAIL\x1b[0m", "\x1b[31m1 passed, 1 failed\x1b[0m")

	tap := report(t, "tap", scripttest.ReportOptions{})
	contains(t, tap, "TAP version 13\nok 1 - ", "not ok 2 - ", "# +1\n", "\n1..2\n")

	github := report(t, "github", scripttest.ReportOptions{})
	contains(t, github, "::error file=", "b_test.star,line=4,col=12,title=test_bad::50%25 of it: not equal%0A", "1 passed, 1 failed\n")
}

func TestJSONFormat(t *testing.T) {
	t.Parallel()
	lines := strings.Split(strings.TrimSpace(report(t, "json", scripttest.ReportOptions{})), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines", len(lines))
	}
	var bad struct {
		Test, Outcome string
		Line          int
		Failures      []struct {
			Message, Diff, Source string
			Position              struct{ File string }
		}
	}
	if err := json.Unmarshal([]byte(lines[1]), &bad); err != nil {
		t.Fatal(err)
	}
	if bad.Test != "test_bad" || bad.Outcome != "failed" || bad.Line != 3 || len(bad.Failures) != 1 || !strings.Contains(bad.Failures[0].Diff, "+1") || !strings.Contains(bad.Failures[0].Source, "assert.eq") {
		t.Errorf("got %+v", bad)
	}
	var end struct{ Passed, Failed int }
	if err := json.Unmarshal([]byte(lines[2]), &end); err != nil || end.Passed != 1 || end.Failed != 1 {
		t.Errorf("end %+v, %v", end, err)
	}
}

func TestJUnitFormat(t *testing.T) {
	t.Parallel()
	var doc struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Cases []struct {
				Name    string `xml:"name,attr"`
				Failure *struct {
					Message string `xml:"message,attr"`
					Text    string `xml:",chardata"`
				} `xml:"failure"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal([]byte(report(t, "junit", scripttest.ReportOptions{})), &doc); err != nil {
		t.Fatal(err)
	}
	if doc.Tests != 2 || doc.Failures != 1 || len(doc.Suites) != 1 || len(doc.Suites[0].Cases) != 2 {
		t.Fatalf("got %+v", doc)
	}
	f := doc.Suites[0].Cases[1].Failure
	if f == nil || !strings.Contains(f.Message, "50% of it") || !strings.Contains(f.Text, "+1") {
		t.Errorf("failure %+v", f)
	}
}
