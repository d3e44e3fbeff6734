package runtime

import (
	"context"
	"hash/fnv"
)

// Effect is one thing that a script wants done outside itself. It is plain
// data: tests compare it, the journal stores it, a person reads it.
type Effect struct {
	// Step numbers the effects of a run from 1.
	Step int
	// Kind is the dotted name of the built-in: "http_post", "kv.incr".
	Kind string
	// Args holds the arguments by parameter name, defaults left out.
	Args *Dict
	// Pos is the place in the script that asked.
	Pos Position
}

// Hash identifies what is asked for, not where or when: a hash of Kind and Args.
func (e Effect) Hash() uint64 {
	h := fnv.New64a()
	h.Write([]byte(e.Kind))
	h.Write([]byte{0})
	h.Write(Encode(nil, e.Args))
	return h.Sum64()
}

// Door is the one way out. Layers wrap it: policy, journal, audit, live.
type Door interface {
	// Do performs the effect and returns its result. An error means that the
	// effect could not be asked for at all (a refused argument, a lost store);
	// what the far side answered, good or bad, is in the value.
	Do(ctx context.Context, e Effect) (Value, error)
}

// DoorFunc is a Door from a function.
type DoorFunc func(ctx context.Context, e Effect) (Value, error)

// Do calls f.
func (f DoorFunc) Do(ctx context.Context, e Effect) (Value, error) { return f(ctx, e) }
