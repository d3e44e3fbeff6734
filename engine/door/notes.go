package door

import (
	"context"
	"sync"
)

// Notes are what handlers did beyond what was asked: which arguments they
// filled from the event, which way a response took. They go into traces; they
// name things and hold no values from users. Safe for concurrent use.
type Notes struct {
	mu   sync.Mutex
	list []string
}

type notesKey struct{}

// WithNotes returns a context whose handlers leave their notes in Notes.
func WithNotes(ctx context.Context) (context.Context, *Notes) {
	n := &Notes{}
	return context.WithValue(ctx, notesKey{}, n), n
}

// List returns the notes so far, such as "filled channel".
func (n *Notes) List() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.list...)
}

// note leaves a note if somebody collects them.
func note(ctx context.Context, text string) {
	if n, ok := ctx.Value(notesKey{}).(*Notes); ok {
		n.mu.Lock()
		n.list = append(n.list, text)
		n.mu.Unlock()
	}
}
