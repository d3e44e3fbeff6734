package rules

import (
	"strings"

	"github.com/starling-rules/starling/engine/event"
)

// keyKind tells which part of an event a key is looked up with.
type keyKind uint8

// The kinds of keys, the cheapest to look up first.
const (
	byID          keyKind = iota // the id, command, type or emoji itself
	byText                       // a literal within the text or id
	byChannel                    // the channel's id
	byChannelName                // its name
	byUser                       // the user's id
	byTeam                       // the workspace or organisation
	keyKinds
)

// key is one entry of an index.
type key struct {
	kind keyKind
	text string
}

// keySet is keys of which every event that the rule matches has at least one:
// a rule may be indexed by any one of its key sets.
type keySet []key

// keySets computes the key sets of a rule. None means that it must be tried
// on every event of its kind.
func (r *Rule) keySets() []keySet {
	var sets []keySet
	switch {
	case r.Kind == event.Webhook: // found by its route
		return nil
	case r.Kind == event.Schedule:
		return []keySet{{{byID, r.ID}}}
	case r.any || r.Absent || r.Match != "": // the text as sent does not show what a readable one has
	case r.re != nil:
		for _, set := range literals(r.re.String()) {
			var ks keySet
			for _, t := range set {
				ks = append(ks, key{byText, t})
			}
			sets = append(sets, ks)
		}
	case r.subtype != "":
		sets = append(sets, keySet{{byID, "message"}, {byID, r.Pattern}})
	case r.Kind == event.Command && len(r.Words) > 0:
		sets = append(sets, keySet{{byID, r.Words[0]}})
	default:
		sets = append(sets, keySet{{byID, r.Pattern}})
	}
	f := &r.filter
	if len(f.channelGlobs) == 0 {
		sets = appendKeys(sets, keysOf(keysOf(nil, byChannel, f.channelIDs), byChannelName, f.channelNames))
	}
	if len(f.userNames)+len(f.userMails) == 0 {
		sets = appendKeys(sets, keysOf(nil, byUser, f.userIDs))
	}
	return appendKeys(sets, keysOf(nil, byTeam, f.teams))
}

func keysOf(ks keySet, kind keyKind, texts []string) keySet {
	for _, t := range texts {
		ks = append(ks, key{kind, t})
	}
	return ks
}

func appendKeys(sets []keySet, ks keySet) []keySet {
	if len(ks) == 0 {
		return sets
	}
	return append(sets, ks)
}

// maxTexts bounds the texts that the rules of one script are found by, in
// bytes, and with them what it takes of the index: 256 bytes for each.
const maxTexts = 128 << 10

// cutTexts shortens the texts of a script's rules until they are not too much:
// a part of a text occurs where the text does.
func cutTexts(rules []*Rule) {
	for longest := maxLiteral; longest > 1; longest /= 2 {
		total := 0
		for _, r := range rules {
			most := 0
			for _, set := range r.keys {
				n := 0
				for i := range set {
					if k := &set[i]; k.kind == byText {
						k.text = k.text[:min(len(k.text), longest)]
						n += len(k.text)
					}
				}
				most = max(most, n)
			}
			total += most
		}
		if total <= maxTexts {
			return
		}
	}
}

// postings are the rules, by number, that have a key.
type postings map[string][]int32

// index finds the rules of one kind that an event can concern.
type index struct {
	maps   [keyKinds]postings // byText is replaced by texts and auto
	texts  [][]int32
	base   int // of the texts among those of all indexes
	auto   *automaton
	always []int32
}

// indexBuilder collects the rules of one kind.
type indexBuilder struct {
	rules   []*Rule
	numbers []int32
}

func (b *indexBuilder) add(number int32, r *Rule) {
	b.rules = append(b.rules, r)
	b.numbers = append(b.numbers, number)
}

// build gives each rule the key set that it shares with the fewest others.
func (b *indexBuilder) build() *index {
	count := map[key]int{}
	for _, r := range b.rules {
		for _, set := range r.keys {
			for _, k := range set {
				count[k]++
			}
		}
	}
	x := &index{}
	for i, r := range b.rules {
		set := choose(r.keys, count)
		if set == nil {
			x.always = append(x.always, b.numbers[i])
			continue
		}
		for _, k := range set {
			if x.maps[k.kind] == nil {
				x.maps[k.kind] = postings{}
			}
			x.maps[k.kind][k.text] = append(x.maps[k.kind][k.text], b.numbers[i])
		}
	}
	if byLiteral := x.maps[byText]; byLiteral != nil {
		texts := make([]string, 0, len(byLiteral))
		for t, rules := range byLiteral {
			texts = append(texts, t)
			x.texts = append(x.texts, rules)
		}
		x.auto = newAutomaton(texts)
		x.maps[byText] = nil
	}
	return x
}

// choose picks the key set with the fewest rules behind it; of equal ones the
// one that is cheaper to look up, then the one with longer texts.
func choose(sets []keySet, count map[key]int) keySet {
	var best keySet
	bestCost, bestLen := 0, 0
	for _, set := range sets {
		cost, short := 0, 1<<30
		for _, k := range set {
			cost += count[k]
			short = min(short, len(k.text))
		}
		if best == nil || cost < bestCost || cost == bestCost && set[0].kind == best[0].kind && short > bestLen {
			best, bestCost, bestLen = set, cost, short
		}
	}
	return best
}

// baseEmoji is the name of an emoji without its skin tone.
func baseEmoji(name string) string {
	base, _, _ := strings.Cut(name, "::")
	return base
}
