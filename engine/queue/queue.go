// Package queue is the durable store: events, the journal of their runs,
// script state, sources, timers, dead letters. It is the only package that knows NATS.
//
//	          Put                    Consume                 Settle
//	ingress ───────► EV-k (grouped) ─────────► dispatch ──────────────► purged
//	                                            │    ▲
//	                                     Append ▼    │ Delivery.History after a crash
//	                                          EX-k (grouped)
//
// Guarantees, whatever the implementation (queuetest holds them):
//
//   - Put returns nil only when the event is on disk. Events that arrive
//     together share one stored message and one fsync.
//   - An event is delivered until it is settled, to one consumer at a time,
//     with everything that was appended for it; events of one shard are first
//     delivered in the order they were stored.
//   - An id that was accepted within the dedupe window is ErrDuplicate, also
//     after a restart, and is never delivered as a second event.
//   - Append returns nil only when the entries are on disk, and never succeeds
//     for a consumer that has lost its shard (ErrFenced).
//
// Reading order: Store and Delivery (queue.go), core (core.go) with its lanes
// (intake.go), shards (journal.go) and index (index.go), what a start does
// (rebuild.go) and what is thrown away when (trim.go); Timers (timer.go) and who
// waits for them (alarm.go). Memory and JetStream are
// this core on different logs and tables (log.go): slices, or streams of a
// server (stream.go, table.go), embedded (server.go) or shared with other
// processes (lease.go).
//
// An event is delivered again only after a crash, a take-over or a new call of
// Consume; each counts as an attempt. Under shared servers a process knows the
// ids it has stored itself and those of the shards it owns: an id that came in
// through two processes may be accepted by both, and is delivered once.
//
// The package does not look into event bodies or journal entries.
package queue

import (
	"context"
	"errors"
	"time"
)

// Errors that callers branch on. Wrapped with detail.
var (
	// ErrDuplicate: the id was accepted before. The sender is told 200.
	ErrDuplicate = errors.New("duplicate event")
	// ErrFull: the bound of the store is reached. The sender is told 503.
	ErrFull = errors.New("queue full")
	// ErrUnavailable: the write did not succeed in time, or the disk is (nearly)
	// full. Whether it is stored is unknown; a retry with the same id is safe.
	ErrUnavailable = errors.New("store unavailable")
	// ErrFenced: another process has taken over the shard of this delivery.
	ErrFenced = errors.New("shard lost to another process")
	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("data directory is in use")
	// ErrDamaged: the directory holds data, but streams that should exist do not.
	ErrDamaged = errors.New("data directory is damaged")
	// ErrTooLarge: the event or entry exceeds what the store takes.
	ErrTooLarge = errors.New("too large for the store")
	// ErrNotFound: no such key, source, event or dead letter.
	ErrNotFound = errors.New("not found")
	// ErrClosed: the store has been closed.
	ErrClosed = errors.New("store is closed")
)

// Record is an event to store.
type Record struct {
	// ID is unique and stable over retries.
	ID string
	// Key selects the shard: events of one key are delivered in order.
	Key string
	// Body is opaque. The store copies what it keeps beyond the call.
	Body []byte
	// Local may be what Body encodes. A first delivery to the same process
	// brings it back (see Local), if memory allows; it is never stored.
	Local any
}

// Local returns Record.Local of an event that this process has put, at its
// first delivery, else nil: then Body has to be decoded.
func Local(d Delivery) any {
	if l, ok := d.(*delivery); ok {
		return l.local
	}
	return nil
}

// Entry is one record of an event's journal. Both parts are opaque to the store.
type Entry struct {
	Type byte
	Body []byte
}

// Delivery is one event handed to the consumer, until it is settled.
// Its methods are safe for concurrent use.
type Delivery interface {
	ID() string
	Body() []byte
	// Stored is when the event was stored.
	Stored() time.Time
	// Shard is the shard that journals it.
	Shard() int
	// Attempt is 1 the first time; each delivery after a restart or take-over adds one.
	Attempt() int
	// History is what was appended for this event before this delivery, in order.
	History() []Entry
	// Claim reserves names (run ids) for this event, durably with the next
	// Append or Settle. A name that another event holds is false.
	// On a resumed delivery its own earlier claims are true.
	Claim(names []string) []bool
	// Append stores entries; entries of several callers share one write.
	Append(ctx context.Context, entries ...Entry) error
	// AppendLater is Append without waiting: the entries are written in order
	// before any later Append, and soon. A failure shows in the next Append.
	AppendLater(entries ...Entry)
	// Settle ends the event: entries are stored, it is never delivered again.
	// It does not wait; a crash before the write delivers the event again
	// with its history.
	Settle(entries ...Entry)
	// Dead moves the event with its history to the dead letters, with a
	// reason, and settles it.
	Dead(ctx context.Context, reason string) error
}

// Store is the durable store. All methods are safe for concurrent use.
type Store interface {
	// Put stores one event. See the package's guarantees for its errors.
	// A Put of an id that is being stored waits for that result.
	Put(ctx context.Context, r Record) error
	// Consume delivers events until ctx ends, calling handle from one
	// goroutine per shard; handle must not wait for runs. At most
	// maxUnsettled deliveries are out at a time; more wait in the store.
	Consume(ctx context.Context, maxUnsettled int, handle func(Delivery)) error

	// State is the scripts' key-value state.
	State() State

	// Timers are records that fall due. While Consume runs, those of the shards
	// that this process consumes are handed to the function given to OnTimer
	// (once, before Consume): at least once each, not before their time, several
	// side by side. Then they are removed, unless they were set anew meanwhile;
	// after an error they are handed over again, later and later (see Later).
	// What the function does needs a key that makes a repeat harmless, such as
	// the id of an event made of the timer's id and time.
	Timers() Timers
	OnTimer(fire func(context.Context, Timer) error)

	// Waits are the runs that are not under way: they wait, or have ended.
	Waits() Waits

	// PutSource keeps opaque bytes under a name (a version's sources);
	// a second put of a name is a no-op. Source returns them or ErrNotFound.
	// Where they take too much room, those go that were put, or kept, longest
	// ago: KeepSource has others go first. Without such a source it does nothing.
	PutSource(ctx context.Context, name string, b []byte) error
	KeepSource(ctx context.Context, name string) error
	Source(ctx context.Context, name string) ([]byte, error)

	// Stats is a cheap snapshot; Pending lists unsettled events, oldest first.
	Stats() Stats
	Pending(ctx context.Context, limit int) ([]EventInfo, error)
	// Recent lists events that have journal entries, newest first, settled
	// ones included as far back as the journal is kept. Event gives one, or ErrNotFound.
	Recent(ctx context.Context, limit int) ([]EventInfo, error)
	Event(ctx context.Context, id string) (EventInfo, error)

	// DeadLetters lists dead events, newest first. RetryDead stores one again
	// as a fresh event under a new id derived from the old; DropDead forgets it.
	DeadLetters(ctx context.Context, limit int) ([]EventInfo, error)
	RetryDead(ctx context.Context, id string) error
	DropDead(ctx context.Context, id string) error

	// Address is where answers for this process can be sent; SendAnswer
	// delivers one to the process with that address (best effort);
	// OnAnswer sets the receiver, once, before Put is used.
	Address() string
	SendAnswer(ctx context.Context, address, id string, body []byte) error
	OnAnswer(receive func(id string, body []byte))

	// Health is nil, or why the store cannot accept events now. It is cheap.
	Health() error
	// Flush waits until everything appended or settled so far is on disk.
	Flush(ctx context.Context) error
	// Close flushes and closes. It is safe to call twice.
	Close(ctx context.Context) error
}

// Stats is a snapshot of a Store.
type Stats struct {
	Pending   int       // events stored and not settled
	Oldest    time.Time // when the oldest of them was stored
	Bytes     int64     // bytes the store uses
	MaxBytes  int64     // its bound
	Dead      int
	Groups    uint64 // messages written for events, and
	Events    uint64 // events in them
	Entries   uint64 // journal entries written
	Duplicate uint64
}

// EventInfo is an event as operators see it.
type EventInfo struct {
	ID      string
	Stored  time.Time
	Settled time.Time // zero while unsettled
	Attempt int
	Body    []byte // nil if no longer kept
	Entries []Entry
	Reason  string // of a dead letter
}

// State is durable key-value state. Keys are "namespace/key", any UTF-8.
type State interface {
	// Get returns the value of key, or ErrNotFound.
	Get(ctx context.Context, key string) ([]byte, error)
	// Look is Get, with the time at which the value expires; zero: never.
	Look(ctx context.Context, key string) ([]byte, time.Time, error)
	// Update changes one key atomically: change sees the present value (nil,
	// false if absent) and says what is to be; it may be called several times.
	// op names the operation (run and step): with repeat set, an operation of
	// that name that was already applied is not applied again and its first
	// result is returned; if that cannot be known any more, ErrForgotten.
	Update(ctx context.Context, key, op string, repeat bool, change func(old []byte, ok bool) (Change, error)) ([]byte, error)
	// List returns the keys with that prefix, sorted, at most limit, after the key given.
	List(ctx context.Context, prefix, after string, limit int) ([]string, error)
	// Keys tells of all keys with that prefix, sorted. Values are not read.
	Keys(ctx context.Context, prefix string) ([]KeyInfo, error)
}

// KeyInfo tells of one key of a State.
type KeyInfo struct {
	Key     string
	Bytes   int       // of the value
	Expires time.Time // zero: never
}

// ErrForgotten says that whether the operation was applied cannot be known any more.
var ErrForgotten = errors.New("outcome of the earlier operation is no longer known")

// Change is the outcome of one State.Update.
type Change struct {
	// Keep leaves the key as it is; else Delete removes it, else Value is
	// stored, until TTL has passed if that is not zero.
	Keep   bool
	Delete bool
	Value  []byte
	TTL    time.Duration
	// Result is returned by Update and remembered under the operation's name.
	Result []byte
}
