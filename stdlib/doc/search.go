package doc

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/starling-rules/starling/runtime"
)

// Search lists the built-ins and topics in which every one of the words
// occurs, in either case; those with all of them in their name or first line
// come first. Nothing found is an error that wraps ErrUnknown.
func (r *Reader) Search(w io.Writer, words []string) error {
	found, topics := r.search(words)
	if len(found) == 0 && len(topics) == 0 {
		return fmt.Errorf("%w: nothing mentions %s", ErrUnknown, strings.Join(words, " "))
	}
	out := bufio.NewWriter(w)
	r.writeList(out, found, false)
	for _, topic := range topics {
		fmt.Fprintf(out, "  topic %s\n", topic)
		text, _ := Topic(topic)
		shown := 0
		for line := range strings.Lines(text) {
			if shown < 3 && mentions(line, words[:1]) {
				fmt.Fprintf(out, "      %s\n", strings.TrimSpace(line))
				shown++
			}
		}
	}
	return flush(out)
}

// SearchJSON writes what Search finds: entries, and names of topics.
func (r *Reader) SearchJSON(w io.Writer, words []string) error {
	found, topics := r.search(words)
	return writeJSON(w, struct {
		Entries []Entry  `json:"entries"`
		Topics  []string `json:"topics"`
	}{entries(found), append([]string{}, topics...)})
}

func (r *Reader) search(words []string) (found []*runtime.Builtin, topics []string) {
	var last []*runtime.Builtin
	for _, b := range r.Library.All() {
		switch {
		case mentions(b.Name+" "+b.Doc, words):
			found = append(found, b)
		case mentions(everything(b), words):
			last = append(last, b)
		}
	}
	for _, name := range Topics() {
		if text, _ := Topic(name); mentions(text, words) {
			topics = append(topics, name)
		}
	}
	return slices.Concat(found, last), topics
}

// everything is all that is written about a built-in.
func everything(b *runtime.Builtin) string {
	texts := []string{b.Name, b.Doc, b.Long, b.Result, b.Repeat}
	for _, p := range b.Params {
		texts = append(texts, p.Name, p.Doc, strings.Join(p.Values, " "))
	}
	return strings.Join(texts, " ")
}

func mentions(text string, words []string) bool {
	text = strings.ToLower(text)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, strings.ToLower(w)) })
}
