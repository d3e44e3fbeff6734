package rules

import (
	"bytes"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// What a script says of itself in its docstrings is the help of rules without a
// help option: in Starlark the text at the beginning of a file or a function,
// in Lua the comment at the beginning of a file or above a function.

// maxDoc bounds what is kept of a docstring, in bytes.
const maxDoc = 2000

// document fills in what the options leave open: help="" hides a rule, without
// help the docstring of its function says what it does.
func (c *compiler) document(r *Rule, v runtime.Value) {
	if h, given := c.args.Get("help"); given && h == "" {
		r.Hidden = true
	}
	f, _ := v.(runtime.Func)
	doc := ""
	if f.Pos.Line > 0 {
		doc = functionDoc(c.bundle.Files[f.Pos.Path], f.Pos.Line, c.bundle.Language)
	}
	first, more, _ := strings.Cut(doc, "\n")
	if r.Help == "" && !r.Hidden {
		r.Help = strings.TrimSpace(first)
	}
	r.About = strings.TrimSpace(more)
	r.ScriptDoc = fileDoc(c.bundle.Files[c.bundle.Main], c.bundle.Language)
}

// fileDoc is the docstring of a file.
func fileDoc(text []byte, language string) string {
	if language == "lua" {
		s := string(text)
		var doc []string
		for line := range strings.Lines(s) {
			comment, ok := luaComment(line)
			if !ok || strings.HasPrefix(line, "#!") {
				break
			}
			doc = append(doc, comment)
		}
		return tidy(strings.Join(doc, "\n"))
	}
	s := string(text)
	for {
		s = strings.TrimLeft(s, " \t\r\n")
		if !strings.HasPrefix(s, "#") {
			return tidy(stringLiteral(s))
		}
		_, s, _ = strings.Cut(s, "\n")
	}
}

// functionDoc is the docstring of the function that begins in a line.
func functionDoc(text []byte, line int, language string) string {
	lines := bytes.SplitAfter(text, []byte("\n"))
	if line > len(lines) {
		return ""
	}
	if language == "lua" {
		var doc []string
		for i := line - 2; i >= 0; i-- {
			comment, ok := luaComment(string(lines[i]))
			if !ok {
				break
			}
			doc = append([]string{comment}, doc...)
		}
		return tidy(strings.Join(doc, "\n"))
	}
	s := string(bytes.Join(lines[line-1:min(len(lines), line+100)], nil))
	at := strings.Index(s, "def ")
	if at < 0 || strings.Contains(s[:at], "\n") { // a lambda
		return ""
	}
	if at = signature(s); at < 0 {
		return ""
	}
	s = strings.TrimLeft(s[at:], " \t\r\n")
	for strings.HasPrefix(s, "#") {
		_, s, _ = strings.Cut(s, "\n")
		s = strings.TrimLeft(s, " \t\r\n")
	}
	return tidy(stringLiteral(s))
}

// luaComment is the text of a line that is a comment.
func luaComment(line string) (string, bool) {
	s, ok := strings.CutPrefix(strings.TrimSpace(line), "--")
	if !ok || strings.HasPrefix(s, "[[") {
		return "", false
	}
	return strings.TrimPrefix(strings.TrimLeft(s, "-"), " "), true
}

// signature returns where the body of a function begins: behind the colon that
// ends its first line. Defaults may hold brackets, colons and texts.
func signature(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(', '[', '{':
			depth++
		case ')', ']', '}':
			depth--
		case '"', '\'':
			n := literalLen(s[i:])
			if n == 0 {
				return -1
			}
			i += n - 1
		case '#':
			end := strings.IndexByte(s[i:], '\n')
			if end < 0 {
				return -1
			}
			i += end
		case ':':
			if depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// quotesOf returns the marks that a text in a script begins with.
func quotesOf(s string) string {
	for _, q := range []string{`"""`, `'''`, `"`, `'`} {
		if strings.HasPrefix(s, q) {
			return q
		}
	}
	return ""
}

// literalLen is the length of the text that s begins with, marks included; 0 if
// it does not end.
func literalLen(s string) int {
	q := quotesOf(s)
	for i := len(q); q != "" && i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], q):
			return i + len(q)
		case s[i] == '\n' && len(q) == 1:
			return 0
		}
	}
	return 0
}

// stringLiteral is the text that s begins with, or "".
func stringLiteral(s string) string {
	raw := strings.HasPrefix(s, "r")
	s = strings.TrimPrefix(s, "r")
	n, q := literalLen(s), len(quotesOf(s))
	if n == 0 {
		return ""
	}
	s = s[q : n-q]
	if !raw {
		s = strings.NewReplacer("\\\n", "", `\n`, "\n", `\t`, "\t", `\"`, `"`, `\'`, `'`, `\\`, `\`).Replace(s)
	}
	return s
}

// tidy takes the indentation off, and cuts what is too long.
func tidy(doc string) string {
	lines := strings.Split(strings.ToValidUTF8(doc, ""), "\n")
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	doc = strings.TrimSpace(strings.Join(lines, "\n"))
	if len(doc) > maxDoc {
		doc = strings.ToValidUTF8(doc[:maxDoc], "") + "…"
	}
	return doc
}
