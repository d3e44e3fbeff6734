package rules

// automaton is a dense Aho–Corasick automaton: it finds which of many texts
// occur in another, in one pass with one table look-up a byte, however many
// there are. ASCII letters are compared without case. It is immutable.
//
// The libraries at hand fold no case or allocate hundreds of megabytes for
// 10,000 texts; this one takes 8 MiB and 35 ms.
type automaton struct {
	class [256]uint8 // byte → column; 0 for bytes that no text contains
	width int        // columns
	// next is the state after a state and a column. States are multiplied by
	// width already; the root is 0. Once linked, an entry is the state shifted
	// left by one, with the low bit set if any text ends there.
	next []int32
	// found is, by state, the first of the texts that end there, or -1.
	found []int32
	// also is, by text, the next text that ends in the same place, or -1.
	also []int32
	// suffix is, by state, the nearest state with texts that is a suffix of
	// it, or 0.
	suffix []int32
}

// maxWidth bounds the columns, which hold letters, digits, a dozen signs and 256
// bytes of each state; what comes later shares a column, and may be found where
// another byte stands.
const maxWidth = 64

// newAutomaton builds an automaton over texts, which are in lower case, not
// empty and different from each other.
func newAutomaton(texts []string) *automaton {
	a := &automaton{width: 1, also: make([]int32, len(texts))}
	total := 1
	for _, t := range texts {
		total += len(t)
		for i := 0; i < len(t); i++ {
			switch {
			case a.class[t[i]] != 0:
			case a.width < maxWidth:
				a.class[t[i]] = uint8(a.width)
				a.width++
			default:
				a.class[t[i]] = 1 + t[i]%(maxWidth-1)
			}
		}
	}
	for c := 'A'; c <= 'Z'; c++ {
		a.class[c] = a.class[c|0x20]
	}
	a.grow(total)
	for i, t := range texts {
		a.add(int32(i), t)
	}
	a.link()
	return a
}

func (a *automaton) grow(states int) {
	a.next = make([]int32, a.width, states*a.width)
	a.found = append(make([]int32, 0, states), -1)
}

// add puts one text into the trie.
func (a *automaton) add(id int32, text string) {
	state := int32(0)
	for i := 0; i < len(text); i++ {
		at := int(state) + int(a.class[text[i]])
		if a.next[at] == 0 {
			a.next[at] = int32(len(a.next))
			a.next = append(a.next, make([]int32, a.width)...)
			a.found = append(a.found, -1)
		}
		state = a.next[at]
	}
	s := int(state) / a.width
	a.also[id] = a.found[s]
	a.found[s] = id
}

// link completes the trie into an automaton, breadth first.
func (a *automaton) link() {
	states := len(a.found)
	a.suffix = make([]int32, states)
	fail := make([]int32, states)
	queue := make([]int32, 0, states)
	for _, to := range a.next[:a.width] {
		if to != 0 {
			queue = append(queue, to)
		}
	}
	for head := 0; head < len(queue); head++ {
		state := queue[head]
		s, f := int(state)/a.width, fail[int(state)/a.width]
		a.suffix[s] = a.suffix[int(f)/a.width]
		if a.found[int(f)/a.width] >= 0 {
			a.suffix[s] = f
		}
		for c := 1; c < a.width; c++ {
			to := a.next[int(state)+c]
			if to == 0 {
				a.next[int(state)+c] = a.next[int(f)+c]
				continue
			}
			fail[int(to)/a.width] = a.next[int(f)+c]
			queue = append(queue, to)
		}
	}
	for i := range a.suffix { // keep state numbers where they are used as indexes
		a.suffix[i] /= int32(a.width)
	}
	for i, to := range a.next {
		ends := int32(0)
		if s := int(to) / a.width; a.found[s] >= 0 || a.suffix[s] != 0 {
			ends = 1
		}
		a.next[i] = to<<1 | ends
	}
}

// find calls hit with each text that occurs, possibly several times, and with
// some that only look like it to the columns.
func (a *automaton) find(text string, hit func(id int32)) {
	state, width, next := int32(0), int32(a.width), a.next
	for i := 0; i < len(text); i++ {
		v := next[int(state)+int(a.class[text[i]])]
		state = v >> 1
		if v&1 == 0 {
			continue
		}
		s := state / width
		if a.found[s] < 0 {
			s = a.suffix[s]
		}
		for s != 0 {
			for id := a.found[s]; id >= 0; id = a.also[id] {
				hit(id)
			}
			s = a.suffix[s]
		}
	}
}
