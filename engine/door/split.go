package door

import (
	"strings"
	"unicode/utf8"
)

// maxSaid is how many characters of text go into one message: Slack advises no
// more, and refuses or cuts what goes much beyond.
const maxSaid = 4000

const fence = "```"

// splitText cuts a text into parts of at most limit characters, each to be a
// message of its own: between paragraphs if it can, else between lines, else
// between words. It cuts through no markup and no escaped character that fits
// into a part. A code block that has to be cut is closed in one part and opened
// again in the next. Empty lines at the cuts go; everything else is kept, in
// order.
func splitText(text string, limit int) []string {
	var parts []string
	open := false // the part begins inside a code block
	for utf8.RuneCountInString(text)+lenIf(open, fence+"\n") > limit {
		room := limit
		if open {
			room -= len(fence) + 1
		}
		// What is cut off may have to close a block: the room is kept.
		cut := cutAt(text, prefixOf(text, room-len(fence)-1), open)
		part := text[:cut]
		inside := open != (strings.Count(part, fence)%2 == 1)
		if part = strings.TrimRight(part, "\n"); !inside {
			part = strings.TrimRight(part, " \n")
		}
		if open {
			part = fence + "\n" + part
		}
		if inside {
			part += "\n" + fence
		}
		if strings.Trim(part, "`\n ") != "" {
			parts = append(parts, part)
		}
		text, open = text[cut:], inside
		text = strings.TrimLeft(text, "\n")
		if !open {
			text = strings.TrimLeft(text, " ")
		} else if rest, closed := strings.CutPrefix(text, fence); closed {
			text, open = strings.TrimLeft(rest, "\n"), false // nothing of the block is left
		}
	}
	if strings.TrimSpace(text) != "" {
		if open {
			text = fence + "\n" + text
		}
		parts = append(parts, text)
	}
	return parts
}

func lenIf(b bool, s string) int {
	if b {
		return len(s)
	}
	return 0
}

// prefixOf is the length in bytes of the first n characters.
func prefixOf(text string, n int) int {
	for i := range text {
		if n == 0 {
			return i
		}
		n--
	}
	return len(text)
}

// cutAt is where to cut a text that is longer than most bytes; more than 0.
// The cut wastes at most the half of a part.
func cutAt(text string, most int, open bool) int {
	least := most / 2
	window := text[:most]
	blocks := fences(window)
	outside := func(i int) bool { // of code blocks
		n := 0
		for _, b := range blocks {
			if b < i {
				n++
			}
		}
		return open == (n%2 == 1)
	}
	for _, at := range []struct {
		what   string
		within bool // also inside a code block
	}{{"\n\n", false}, {"\n", false}, {"\n\n", true}, {"\n", true}, {" ", false}, {" ", true}} {
		for end := len(window); end > 0; {
			i := strings.LastIndex(window[:end], at.what)
			if i < least || i < 1 {
				break
			}
			if (at.within || outside(i)) && !inMarkup(text, i) {
				return i + len(at.what)
			}
			end = i
		}
		// A block that fits into the next part begins it.
		if at.what == "\n" && !at.within && !open && len(blocks)%2 == 1 {
			if i := blocks[len(blocks)-1]; i >= least/2 && i > 0 {
				return i
			}
		}
	}
	return hardCut(text, most)
}

// fences are the places of the marks that begin and end code blocks.
func fences(text string) (at []int) {
	for i := 0; ; {
		n := strings.Index(text[i:], fence)
		if n < 0 {
			return at
		}
		at = append(at, i+n)
		i += n + len(fence)
	}
}

// longestMarkup bounds how far back the beginning of a piece of markup is
// looked for.
const longestMarkup = 3100

// inMarkup reports whether i is inside <…>.
func inMarkup(text string, i int) bool {
	from := max(0, i-longestMarkup)
	begin := strings.LastIndexByte(text[from:i], '<')
	if begin < 0 || strings.IndexByte(text[from+begin:i], '>') >= 0 {
		return false
	}
	end := strings.IndexAny(text[i:], "<>\n")
	return end >= 0 && text[i+end] == '>'
}

// hardCut cuts where there is nothing to cut at, but not within a fence, a
// piece of markup or an escaped character.
func hardCut(text string, most int) int {
	cut := most
	if inMarkup(text, cut) {
		if begin := strings.LastIndexByte(text[:cut], '<'); begin > 0 {
			cut = begin
		}
	}
	if amp := strings.LastIndexByte(text[:cut], '&'); amp > 0 && cut-amp < 5 {
		if e := entityEnd(text, amp); e > cut {
			cut = amp
		}
	}
	for back := 0; cut > 1 && back < 2 && text[cut-1] == '`' && cut < len(text) && text[cut] == '`'; back++ {
		cut--
	}
	return cut
}
