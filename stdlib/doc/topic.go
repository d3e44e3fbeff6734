package doc

import (
	"embed"
	"strings"
)

//go:embed topics/*.md
var topics embed.FS

// Topic returns the text of a topic, an essay on something that is no
// built-in, as Markdown that reads well at a terminal; false if there is none
// of that name.
func Topic(name string) (string, bool) {
	text, err := topics.ReadFile("topics/" + name + ".md")
	return strings.Replace(string(text), "{{fields of the event}}\n", fieldTable(), 1), err == nil
}

// Topics returns the names of all topics, sorted.
func Topics() []string {
	entries, err := topics.ReadDir("topics")
	if err != nil {
		panic(err) // it is embedded
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".md")
	}
	return names
}
