package queue

import (
	"context"
	"errors"
	"time"
)

// errConflict: the expected sequence or revision is not the present one.
var errConflict = errors.New("changed by another writer")

// message is one stored message of a log.
type message struct {
	seq  uint64
	at   time.Time
	data []byte
}

// log is an ordered sequence of messages: a stream of one subject in JetStream,
// a slice in Memory. Sequences only grow, also after a purge.
type log interface {
	// append stores data and returns its sequence. With fence, the last
	// sequence must be expect, else errConflict. Errors that callers branch
	// on: ErrFull, ErrTooLarge, errConflict; ErrUnavailable is ambiguous.
	append(ctx context.Context, data []byte, fence bool, expect uint64) (uint64, error)
	// get returns one message or ErrNotFound.
	get(ctx context.Context, seq uint64) (message, error)
	// scan calls f for the messages from..to in order. f keeps what it is given;
	// the time may be left out.
	scan(ctx context.Context, from, to uint64, f func(message) error) error
	// bounds returns the first and last sequence (last+1, last if empty).
	bounds(ctx context.Context) (first, last uint64, bytes int64, err error)
	// purge removes everything below seq.
	purge(ctx context.Context, seq uint64) error
	// watch calls f for every message from seq on until ctx ends.
	watch(ctx context.Context, from uint64, f func(message)) error
}

// anyRev lets table.put write whatever is there.
const anyRev = ^uint64(0)

type row struct {
	key  string
	data []byte
	mark string
	rev  uint64
	at   time.Time
}

// table holds the newest row by key. Keys are any non-empty UTF-8.
type table interface {
	// get returns the row or ErrNotFound.
	get(ctx context.Context, key string) (row, error)
	// put writes if the revision is rev (0: no such row), else errConflict.
	// The row goes away by itself after ttl, if not zero, or somewhat later.
	// mark is what list shows of a row.
	put(ctx context.Context, key string, data []byte, mark string, rev uint64, ttl time.Duration) (uint64, error)
	// drop removes a row; removing none is no error.
	drop(ctx context.Context, key string) error
	// dropAt removes a row if its revision is still rev.
	dropAt(ctx context.Context, key string, rev uint64) error
	// list calls f with every row, data left out, in no order. With prefix,
	// rows of other prefixes may be left out or not.
	list(ctx context.Context, prefix string, f func(row)) error
	// watch is list, calls all, and goes on with every row that is put until ctx
	// ends. It returns an error if it lost track.
	watch(ctx context.Context, prefix string, f func(row), all func()) error
}
