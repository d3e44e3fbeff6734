package event

import (
	"encoding/binary"

	"github.com/starling-rules/starling/runtime"
)

// Match is what the pattern of a rule found in an event.
type Match struct {
	// Groups are the submatches, the whole match first; Names their names,
	// "" for the unnamed. Missing groups are absent from Groups' Present.
	Groups  []string
	Names   []string
	Present []bool
	// Args are the parsed arguments of a command with a grammar, path
	// parameters of a webhook, or nil.
	Args *runtime.Dict
	// FormParam is the parameter of a form that a webhook's rule asks for.
	FormParam string
}

// Input is the argument of a handler: the event, and what its rule matched.
type Input struct {
	Event *Event
	Match *Match
}

// AppendInput appends the form in which a handler's argument travels to a
// worker. encoded is the event's own encoding, so that several rules share it.
func AppendInput(b, encoded []byte, m *Match) []byte {
	b = runtime.AppendString(b, encoded)
	if m == nil {
		return append(b, 0)
	}
	b = append(b, 1)
	b = binary.AppendUvarint(b, uint64(len(m.Groups)))
	for i, g := range m.Groups {
		b = runtime.AppendString(runtime.AppendString(b, g), m.Names[i])
		if m.Present[i] {
			b = append(b, 1)
		} else {
			b = append(b, 0)
		}
	}
	switch {
	case m.FormParam != "" && m.Args != nil:
		return runtime.Encode(runtime.AppendString(append(b, withParam), m.FormParam), m.Args)
	case m.Args != nil:
		return runtime.Encode(append(b, withArgs), m.Args)
	}
	return append(b, withoutArgs)
}

// What follows the groups of a match.
const (
	withoutArgs = iota
	withArgs
	withParam // FormParam, then Args
)

// DecodeInput reads what AppendInput wrote; the result shares b's memory.
func DecodeInput(b []byte) (*Input, error) {
	d := runtime.NewDecoder(b)
	enc := d.Bytes()
	in := &Input{}
	in.Match = decodeMatch(d)
	if err := d.Finish(); err != nil {
		return nil, err
	}
	var err error
	in.Event, err = Decode(enc)
	return in, err
}

// DecodeMatch reads the match alone of what AppendInput wrote with an empty event.
func DecodeMatch(b []byte) (*Match, error) {
	d := runtime.NewDecoder(b)
	d.Bytes()
	m := decodeMatch(d)
	return m, d.Finish()
}

func decodeMatch(d *runtime.Decoder) *Match {
	if d.Byte() != 1 {
		return nil
	}
	m := &Match{}
	for n := d.Count(); n > 0 && d.Err() == nil; n-- {
		m.Groups = append(m.Groups, d.String())
		m.Names = append(m.Names, d.String())
		m.Present = append(m.Present, d.Byte() == 1)
	}
	switch d.Byte() {
	case withArgs:
		m.Args = d.DictValue()
	case withParam:
		m.FormParam = d.String()
		m.Args = d.DictValue()
	}
	return m
}
