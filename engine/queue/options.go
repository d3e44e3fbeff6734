package queue

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Options are the options of Open. Dir or URL is required, the rest has defaults.
type Options struct {
	// Dir is the data directory of the embedded server. It must lie on a local
	// file system that keeps its word on fsync (ext4, XFS; not NFS).
	Dir string
	// URL names external servers instead ("nats://a,b,c").
	URL string
	// Replicas is the number of copies an external cluster keeps, 1 to 5, default 1.
	Replicas int
	// Prefix begins the names of streams and subjects, default "starling".
	// Letters, digits, "_" and "-".
	Prefix string
	// Shards is the number of lanes, default 1 embedded and 8 external. A store
	// that exists keeps the number it was made with. On one disk a second lane
	// only halves the groups, and each group costs a flush; between servers
	// lanes spread the leaders, and one steps in for another.
	Shards int
	// MaxBytes bounds all that is stored, default 4 GiB. One half is for events,
	// a quarter for the journal, an eighth for state, the rest for sources and
	// dead letters. Runs that wait, or waited, have an eighth of it besides.
	MaxBytes int64
	// MaxEvent bounds id and body of one event, or one journal entry, in bytes;
	// default and at most what fits a message of the server (8 MiB embedded).
	MaxEvent int
	// MaxMemory bounds the bodies kept in memory for a consumer that is behind,
	// default 64 MiB. Others are read back from the store.
	MaxMemory int64
	// Window is how long a group of events may wait for the next one while they
	// come in numbers, default 1 ms (the clock may make it one more), and at
	// most four of them in all. A lone event never waits, nor does a group that
	// has as many as came together before.
	Window time.Duration
	// MaxGroup and MaxGroupBytes bound one group, default 256 and 1 MiB.
	MaxGroup      int
	MaxGroupBytes int
	// PutTimeout is how long a lane may take to store a group, default 500 ms;
	// then the next lane is tried once for as long; a single lane has both times.
	PutTimeout time.Duration
	// SettleDelay is how long the end of an event may wait to share a write,
	// default 5 ms; below 0 not at all. The end of an event without journal
	// entries or claims may wait 20 times as long.
	SettleDelay time.Duration
	// DedupeWindow is how long an id is remembered, default 25 hours, but at
	// most DedupeMax settled ids per shard, default 400,000 over all shards
	// (about 250 bytes of memory each).
	DedupeWindow time.Duration
	DedupeMax    int
	// Retain is how long settled events and their journal are kept to look at,
	// default 14 days, within a quarter of the bytes for events and 128 MiB of
	// journal.
	Retain time.Duration
	// MinFreeDisk is how many bytes the disk must have left for events to be
	// accepted; 0: the larger of 5 % and 500 MB, below 0: not watched.
	MinFreeDisk int64
	// Poll is how often disk and store are looked at, default 1 s.
	Poll time.Duration
	// Lease is how long an owner of a shard may be silent before another process
	// takes over (external only), in whole seconds, default 5 s, at least 2 s.
	Lease time.Duration
	// NoSync turns SyncAlways of the embedded server off: a power loss may lose
	// the last two minutes, on a fresh store everything.
	NoSync bool
	// ForceNew opens a damaged directory, with empty streams for those that are gone.
	ForceNew bool
	// Logger takes what the store and the embedded server say, default none.
	Logger *slog.Logger
	// Now is the clock of events and state, default time.Now.
	Now func() time.Time
}

var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// complete fills in defaults and names every fault.
func (o *Options) complete() error {
	var faults []error
	if (o.Dir == "") == (o.URL == "") {
		faults = append(faults, errors.New("either Dir or URL is required"))
	}
	def(&o.Prefix, "starling")
	if !prefixForm.MatchString(o.Prefix) {
		faults = append(faults, fmt.Errorf("option Prefix: letters, digits, _ and - (got %q)", o.Prefix))
	}
	def(&o.Replicas, 1)
	if o.Replicas < 1 || o.Replicas > 5 {
		faults = append(faults, fmt.Errorf("option Replicas: 1 to 5 (got %d)", o.Replicas))
	}
	if o.URL != "" {
		def(&o.Shards, 8)
	}
	def(&o.Shards, 1)
	if o.Shards < 1 || o.Shards > 64 {
		faults = append(faults, fmt.Errorf("option Shards: 1 to 64 (got %d)", o.Shards))
	}
	def(&o.MaxBytes, 4<<30)
	if o.MaxBytes < 4<<20 {
		faults = append(faults, fmt.Errorf("option MaxBytes: at least 4 MiB (got %d)", o.MaxBytes))
	}
	def(&o.Lease, 5*time.Second)
	if o.Lease < 2*time.Second {
		faults = append(faults, fmt.Errorf("option Lease: at least 2s (got %s)", o.Lease))
	}
	def(&o.MaxMemory, 64<<20)
	def(&o.Window, time.Millisecond)
	def(&o.MaxGroup, 256)
	def(&o.MaxGroupBytes, 1<<20)
	def(&o.PutTimeout, 500*time.Millisecond)
	def(&o.SettleDelay, 5*time.Millisecond)
	def(&o.DedupeWindow, 25*time.Hour)
	def(&o.DedupeMax, 400_000)
	def(&o.Retain, 14*24*time.Hour)
	def(&o.Poll, time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("queue options: %w", err)
	}
	return nil
}

func def[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// parkedBytes bounds the runs that wait, or waited.
func (o *Options) parkedBytes() int64 { return max(o.MaxBytes/8, 1<<20) }

// settings for core; room is what fits one message of the server.
func (o *Options) settings(room int) settings {
	n := int64(o.Shards)
	if o.MaxEvent <= 0 || o.MaxEvent > room {
		o.MaxEvent = room
	}
	return settings{
		maxEvent: o.MaxEvent, group: o.MaxGroup, groupBytes: min(o.MaxGroupBytes, room),
		pageBytes: min(1<<20, room),
		window:    o.Window, putTimeout: o.PutTimeout, settleIn: o.SettleDelay,
		dedupe: o.DedupeWindow, dedupeMax: max(1, o.DedupeMax/o.Shards), retain: o.Retain,
		retainPage: min(o.MaxBytes/4/3, 128<<20) / n, retainLane: o.MaxBytes / 2 / 4 / n,
		memory: o.MaxMemory, backlog: 64 << 20, room: o.parkedBytes(), shared: o.URL != "", now: o.Now, log: o.Logger,
	}
}
