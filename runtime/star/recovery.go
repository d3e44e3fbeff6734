package star

import (
	"strings"

	"go.starlark.net/syntax"
)

// maxSyntaxErrors bounds what is told of one file.
const maxSyntaxErrors = 10

// syntaxErrors returns what is wrong with a file that does not parse. The
// parser stops at the first error; so what follows is parsed again, statement
// by statement of the top level, as long as it can be told where these begin.
func syntaxErrors(path string, text []byte, first error) []error {
	errs := []error{first}
	e, ok := first.(syntax.Error)
	if !ok || strings.Contains(e.Msg, "EOF") || atEnd(position(e.Pos), text, e.Msg) {
		return errs // a text or bracket that is not closed: nothing behind it can be told
	}
	lines := strings.Split(string(text), "\n")
	next := int(e.Pos.Line) // from 1: the line behind it
	for next < len(lines) && !begins(lines[next]) {
		next++
	}
	for next < len(lines) && len(errs) < maxSyntaxErrors {
		end := next + 1
		for end < len(lines) && !(begins(lines[end]) && closed(lines[next:end])) {
			end++
		}
		// Empty lines in front keep the numbers right.
		part := strings.Repeat("\n", next) + strings.Join(lines[next:end], "\n") + "\n"
		if _, err := parse(path, []byte(part)); err != nil {
			errs = append(errs, err)
		}
		next = end
	}
	return errs
}

// begins tells that a statement of the top level may begin with a line.
func begins(line string) bool {
	if line == "" || strings.ContainsRune(" \t\r#)]}\"'", rune(line[0])) {
		return false
	}
	for _, word := range []string{"else", "elif"} {
		if rest, ok := strings.CutPrefix(line, word); ok && (rest == "" || strings.ContainsRune(" :\t", rune(rest[0]))) {
			return false
		}
	}
	return true
}

// closed tells that no bracket and no long text is open behind lines. It counts
// those in texts and comments too: then fewer errors are found, no false ones.
func closed(lines []string) bool {
	open := 0
	quotes, singles := 0, 0
	for _, line := range lines {
		for _, c := range line {
			switch c {
			case '(', '[', '{':
				open++
			case ')', ']', '}':
				open--
			}
		}
		quotes += strings.Count(line, `"""`)
		singles += strings.Count(line, "'''")
		if strings.HasSuffix(line, "\\") {
			open++ // goes on in the next line
		}
	}
	return open == 0 && quotes%2 == 0 && singles%2 == 0
}
