package main

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/stdlib/text"
)

// TestArgsAndSplitArgsReadALineAlike: what args makes of a line and what a
// script makes of it with text.split_args are the same words.
func TestArgsAndSplitArgsReadALineAlike(t *testing.T) {
	t.Parallel()
	const most = 12
	var names []string
	for i := range most {
		names = append(names, fmt.Sprintf("[zz%d]", i))
	}
	g, err := rules.ParseGrammar(strings.Join(names, " "))
	if err != nil {
		t.Fatal(err)
	}
	pieces := []string{"a", "bc", "it's", " ", "  ", "\t", "\u00a0", `"`, "'", "“", "”", "„", "«", "»", "‘", "’", "‚", `\`, "=", "--", "—", "–", "x=", "é", "&lt;"}
	r := rand.New(rand.NewPCG(1, 2))
	compared := 0
	for range 20_000 {
		var b strings.Builder
		for range 1 + r.IntN(10) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		line := b.String()
		args, problem := g.Parse("-- " + line)
		if problem != "" { // a double mark that is not closed, or too many words
			continue
		}
		want, err := text.SplitArgs(line, false)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for i := range most {
			if v, _ := args.Get(fmt.Sprintf("zz%d", i)); v != nil {
				got = append(got, v.(string))
			}
		}
		compared++
		if !slices.Equal(got, want) {
			t.Fatalf("%q: args %q, split_args %q", line, got, want)
		}
	}
	if compared < 5000 {
		t.Errorf("only %d lines compared", compared)
	}
}
