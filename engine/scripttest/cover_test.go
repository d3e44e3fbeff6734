package scripttest_test

import (
	"bytes"
	"testing"

	"github.com/starling-rules/starling/engine/scripttest"
)

func TestCoverage(t *testing.T) {
	t.Parallel()
	res := run(t, map[string]string{
		"a.star": `def f(e):
    if e.text == "hi":
        return "one"
    return "two"

on.message("hi", f)
`,
		"b.lua": `on.message("hi", function(e)
  if e.text == "hi" then
    return "one"
  end
  return "two"
end)
`,
		"a_test.star": "def test_a(t):\n    t.message(\"hi\")\n",
		"b_test.lua":  "test(\"b\", function(t) t.message(\"hi there\") end)\n",
	}, func(o *scripttest.Options) { o.Cover = true })
	passes(t, res)
	if len(res.Cover) != 2 {
		t.Fatalf("covered %d files", len(res.Cover))
	}
	for _, c := range res.Cover {
		if c.Ran == 0 || c.Ran == c.All || c.Percent() >= 100 {
			t.Errorf("%s: %d of %d", c.Path, c.Ran, c.All)
		}
	}
	var margin, lcov bytes.Buffer
	if err := res.WriteMargin(&margin); err != nil {
		t.Fatal(err)
	}
	contains(t, margin.String(), "a.star: 80.0% of 5 lines", "      1    3          return \"one\"", "  #####    4      return \"two\"", "  #####    3      return \"one\"", "\n           5\n")
	if err := res.WriteLCOV(&lcov); err != nil {
		t.Fatal(err)
	}
	contains(t, lcov.String(), "SF:", "DA:3,1\n", "DA:4,0\n", "LF:5\nLH:4\nend_of_record\n")
}
