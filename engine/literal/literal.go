// Package literal writes texts as string literals of the script languages, for
// scripts and tests that the engine makes: on one line, whatever the text holds.
package literal

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Starlark writes a text in Starlark. Bytes that are no UTF-8 become U+FFFD.
func Starlark(s string) string {
	return quote(s, func(b *strings.Builder, c string) {
		r, _ := utf8.DecodeRuneInString(c)
		b.WriteString(`\u` + strconv.FormatInt(0x10000+int64(r), 16)[1:])
	})
}

// Lua writes a text in Lua 5.1, whose escapes are decimal numbers of bytes.
func Lua(s string) string {
	return quote(s, func(b *strings.Builder, c string) {
		for i := range len(c) {
			b.WriteString(`\` + strconv.Itoa(1000 + int(c[i]))[1:])
		}
	})
}

func quote(s string, escape func(b *strings.Builder, char string)) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		c := s[i : i+size]
		i += size
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteString(c)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < ' ', r == 0x7f, r == 0x85, r == 0x2028, r == 0x2029, r == utf8.RuneError && size == 1:
			escape(&b, c)
		default:
			b.WriteString(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
