package door

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestLongTextIsCutWherePeopleWouldCutIt(t *testing.T) {
	t.Parallel()
	word := func(n int) string { return strings.Repeat("w", n) }
	for name, c := range map[string]struct {
		text  string
		limit int
		want  []string
	}{
		"short":      {"hello", 40, []string{"hello"}},
		"paragraphs": {word(20) + "\n\n" + word(20) + "\n\n" + word(10), 50, []string{word(20) + "\n\n" + word(20), word(10)}},
		"lines":      {word(30) + "\n" + word(30), 50, []string{word(30), word(30)}},
		"words":      {strings.TrimSpace(strings.Repeat("word ", 16)), 50, []string{strings.TrimSpace(strings.Repeat("word ", 9)), strings.TrimSpace(strings.Repeat("word ", 7))}},
		"characters": {strings.Repeat("é", 100), 54, []string{strings.Repeat("é", 50), strings.Repeat("é", 50)}},
		"a block moves to the next": {
			word(30) + "\n```\n" + word(20) + "\n```", 50,
			[]string{word(30), "```\n" + word(20) + "\n```"},
		},
		"a block is closed and opened again": {
			"```\n" + word(30) + "\n" + word(30) + "\n```\nafter", 50,
			[]string{"```\n" + word(30) + "\n```", "```\n" + word(30) + "\n```\nafter"},
		},
		"markup stays whole": {word(35) + "<https://example.com/|a b c>" + word(3), 50, []string{word(35), "<https://example.com/|a b c>" + word(3)}},
		"escapes stay whole": {word(44) + "&amp;" + word(20), 50, []string{word(44), "&amp;" + word(20)}},
		"empty":              {"", 50, nil},
	} {
		got := splitText(c.text, c.limit)
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", c.want) {
			t.Errorf("%s:\n got %q\nwant %q", name, got, c.want)
		}
	}
}

// 20,000 characters of paragraphs, lists and code arrive whole and in order.
func TestLongTextLosesNothing(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := 0; b.Len() < 20_000; i++ {
		switch i % 3 {
		case 0:
			fmt.Fprintf(&b, "Paragraph %d %s\n\n", i, strings.Repeat("says something, ", 20))
		case 1:
			fmt.Fprintf(&b, "```\n%s```\n\n", strings.Repeat(fmt.Sprintf("code line %d with words\n", i), 30+i))
		default:
			fmt.Fprintf(&b, "- item %d\n- another\n\n", i)
		}
	}
	checkParts(t, b.String(), maxSaid)
}

// checkParts wants all parts to fit, blocks to be closed in each, and the words
// to be those of the text.
func checkParts(t *testing.T, text string, limit int) {
	t.Helper()
	parts := splitText(text, limit)
	words := func(s string) string {
		return strings.Join(strings.Fields(strings.ReplaceAll(s, "`", "")), "")
	}
	for i, p := range parts {
		if n := utf8.RuneCountInString(p); n > limit {
			t.Errorf("part %d has %d characters, the limit is %d", i, n, limit)
		}
		if strings.Count(text, fence)%2 == 0 && strings.Count(p, fence)%2 != 0 {
			t.Errorf("part %d leaves a block open: %q", i, p)
		}
		if !utf8.ValidString(p) && utf8.ValidString(text) {
			t.Errorf("part %d is cut within a character", i)
		}
	}
	if got, want := words(strings.Join(parts, "")), words(text); got != want {
		t.Errorf("the words are not those of the text\n got %.300q\nwant %.300q", got, want)
	}
}

func FuzzSplitText(f *testing.F) {
	f.Add("a ```b``` c\n\nd <@U1> & &amp; x", 20)
	f.Add(strings.Repeat("`", 50)+"x", 20)
	f.Add(strings.Repeat("x\n", 100), 25)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if limit < 20 || limit > 200 || len(text) > 5000 || !utf8.ValidString(text) {
			t.Skip()
		}
		checkParts(t, text, limit)
	})
}
