package progen

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// Source makes choices from bytes. Once the bytes are used up each choice is
// the first one, and the budget is gone: a grammar has its plainest
// alternative first. A Source belongs to one goroutine.
type Source struct {
	data   []byte
	budget int
}

// New returns a Source whose programs have about size parts.
func New(data []byte, size int) *Source { return &Source{data: data, budget: size} }

// Pick returns a number from 0 to n-1.
func (s *Source) Pick(n int) int {
	if n <= 1 || len(s.data) == 0 {
		return 0
	}
	v := int(s.data[0])
	s.data = s.data[1:]
	if n > 256 && len(s.data) > 0 {
		v = v<<8 | int(s.data[0])
		s.data = s.data[1:]
	}
	return v % n
}

// Chance is true in n of 100 cases, and false once the bytes are used up.
func (s *Source) Chance(n int) bool { return len(s.data) > 0 && s.Pick(100) < n }

// Spend takes one part off the budget, and tells whether there was one: a
// grammar that gets false chooses what has no parts.
func (s *Source) Spend() bool {
	s.budget--
	return s.budget >= 0 && len(s.data) > 0
}

// Done tells that the budget or the bytes are used up.
func (s *Source) Done() bool { return s.budget <= 0 || len(s.data) == 0 }

// Of returns one of several texts.
func (s *Source) Of(list ...string) string { return list[s.Pick(len(list))] }

// Int returns a number as it is written, with an inclination to edges.
func (s *Source) Int() string {
	edges := []int64{0, 1, 2, -1, 3, 7, 10, 63, 64, 65, 100, 255, 256, 511, 512, 1000, 4096, 65535, 65536, 1 << 31, -1 << 31, 1 << 32, 1<<53 + 1, 1<<63 - 1, -1 << 63}
	if s.Chance(60) {
		return strconv.FormatInt(edges[s.Pick(len(edges))], 10)
	}
	return strconv.Itoa(s.Pick(1000) - 100)
}

// Text returns a short text, not quoted.
func (s *Source) Text() string {
	var b strings.Builder
	for range s.Pick(4) {
		b.WriteString(s.Of("a", "b", "x", "abc", " ", "", "0", "9", "%", "{", "}", "{}", "%s", "%d", "-", ",", "é", "日本", "\n", "\t", "\"", "'", "\\", "$", ".", "a b c", "\x00", "ABC", "😀", "1e9", "0x1", "[", "]", "(", "*", "+", "?", "^"))
	}
	return b.String()
}

// Seeds returns n inputs of some length, the same ones each time.
func Seeds(n, length int) [][]byte {
	out := make([][]byte, n)
	r := rand.New(rand.NewPCG(1, uint64(length)))
	for i := range out {
		out[i] = make([]byte, length)
		for j := range out[i] {
			out[i][j] = byte(r.Uint32())
		}
	}
	return out
}
