package dispatch

import (
	"encoding/binary"
	"log/slog"
	"slices"
	"time"

	"github.com/starling-rules/starling/engine/event"
	"github.com/starling-rules/starling/engine/queue"
	"github.com/starling-rules/starling/runtime"
)

// notes are what the time line of a run tells beside its effects: the passes
// that the script made, and what it logged in each. They are written with the
// entry that ends or parks the run, not line by line: what a crash cuts off is
// lost, and costs nothing.
type notes struct {
	Passes []notedPass
	Logs   []notedLog
	// MorePasses and MoreLogs were left out: the bounds are full.
	MorePasses, MoreLogs int

	bytes int // of Logs
}

// notedPass is one pass of the script over its function.
type notedPass struct {
	N       int // 1 is the first
	At      time.Time
	Took    time.Duration
	Steps   uint64
	Results int // of effects, recorded before: it replayed these
}

// notedLog is a line that the script logged in the pass.
type notedLog struct {
	Pass  int
	Level slog.Level
	Text  string
	Attrs *runtime.Dict
	Pos   runtime.Position
}

// The bounds of the notes of a run, however often it waits. The first pass and
// the latest ones are kept, and of the lines the latest.
const (
	maxNotedPasses = 64
	maxNotedBytes  = 32 << 10
	maxNotedLine   = 4 << 10
	notedLineCost  = 32
)

// pass notes a pass that began at the time given.
func (n *notes) pass(number int, at time.Time, results int, reply *runtime.Reply) {
	if len(n.Passes) >= maxNotedPasses {
		n.Passes = slices.Delete(n.Passes, 1, 2)
		n.MorePasses++
	}
	n.Passes = append(n.Passes, notedPass{N: number, At: at, Took: reply.Took, Steps: reply.Steps, Results: results})
}

// log notes a line of the latest pass.
func (n *notes) log(pass int, l runtime.LogLine) {
	line := notedLog{Pass: pass, Level: l.Level, Text: event.Cut(l.Text, maxNotedLine), Pos: l.Pos}
	if l.Attrs.Len() > 0 {
		line.Attrs, _ = hideSecrets(l.Attrs).(*runtime.Dict)
		if size := len(runtime.Encode(nil, line.Attrs)); size > maxNotedLine {
			line.Attrs = runtime.NewDict("left_out", int64(size))
		}
	}
	n.keep(line)
	for n.bytes > maxNotedBytes {
		n.bytes -= n.Logs[0].size()
		n.Logs = n.Logs[1:]
		n.MoreLogs++
	}
}

func (n *notes) keep(line notedLog) {
	n.Logs = append(n.Logs, line)
	n.bytes += line.size()
}

func (l *notedLog) size() int {
	size := notedLineCost + len(l.Text)
	if l.Attrs != nil {
		size += len(runtime.Encode(nil, l.Attrs))
	}
	return size
}

// entry is the journal's; nothing is written of a run that tells nothing that
// its end does not tell as well. A later entry takes the place of this one.
func (n *notes) entry(run int) []queue.Entry {
	if len(n.Passes) < 2 && len(n.Logs) == 0 {
		return nil
	}
	b := binary.AppendUvarint(make([]byte, 0, 64+24*len(n.Passes)+n.bytes), uint64(run))
	b = binary.AppendUvarint(b, uint64(n.MorePasses))
	b = binary.AppendUvarint(b, uint64(n.MoreLogs))
	b = binary.AppendUvarint(b, uint64(len(n.Passes)))
	for _, p := range n.Passes {
		b = binary.AppendUvarint(b, uint64(p.N))
		b = binary.AppendVarint(b, p.At.UnixNano())
		b = binary.AppendVarint(b, int64(p.Took))
		b = binary.AppendUvarint(b, p.Steps)
		b = binary.AppendUvarint(b, uint64(p.Results))
	}
	b = binary.AppendUvarint(b, uint64(len(n.Logs)))
	for _, l := range n.Logs {
		b = binary.AppendUvarint(b, uint64(l.Pass))
		b = binary.AppendVarint(b, int64(l.Level))
		b = runtime.AppendString(b, l.Text)
		b = runtime.AppendPosition(b, l.Pos)
		b = append(b, bit(l.Attrs != nil))
		if l.Attrs != nil {
			b = runtime.AppendString(b, string(runtime.Encode(nil, l.Attrs)))
		}
	}
	return []queue.Entry{{Type: entryNotes, Body: b}}
}

// decodeNotes reads what follows the index of the run.
func decodeNotes(d *runtime.Decoder) *notes {
	n := &notes{MorePasses: int(d.Uvarint()), MoreLogs: int(d.Uvarint())}
	for i := d.Count(); i > 0 && d.Err() == nil; i-- {
		n.Passes = append(n.Passes, notedPass{
			N: int(d.Uvarint()), At: time.Unix(0, d.Varint()), Took: time.Duration(d.Varint()), Steps: d.Uvarint(), Results: int(d.Uvarint()),
		})
	}
	for i := d.Count(); i > 0 && d.Err() == nil; i-- {
		l := notedLog{Pass: int(d.Uvarint()), Level: slog.Level(d.Varint()), Text: d.String(), Pos: d.Position()}
		if d.Byte() == 1 {
			v, err := runtime.Decode(d.Bytes())
			if err != nil {
				d.Fail("facts of a log line: %v", err)
			}
			l.Attrs, _ = v.(*runtime.Dict)
		}
		n.keep(l)
	}
	return n
}

// attemptEntry says that the event is taken up again after a crash.
func attemptEntry(at time.Time) queue.Entry {
	return queue.Entry{Type: entryAttempt, Body: binary.AppendVarint(nil, at.UnixNano())}
}

// attemptTime is when; entries of earlier versions do not say.
func attemptTime(body []byte) time.Time {
	if n, size := binary.Varint(body); size > 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}
