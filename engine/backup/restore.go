package backup

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
)

// Mode says what becomes of what is not in the archive.
type Mode string

// The modes: Merge leaves it, Replace removes it.
const (
	Merge   Mode = "merge"
	Replace Mode = "replace"
)

// RestoreOptions are the options of Restore.
type RestoreOptions struct {
	Mode Mode
	// Dry changes nothing, and tells what would be changed.
	Dry bool
	// Only lets records through. With Replace, others stay.
	Only Filter
	// Tell is told of each change, and of what has expired; may be nil.
	Tell func(Change, *Record)
	// MaxBytes bounds what the archive may hold; 0 is no bound.
	MaxBytes int64
}

// Summary is what Restore did, or would do.
type Summary struct {
	Records int            `json:"records"`
	Changes map[Change]int `json:"changes"`
	Dry     bool           `json:"dry_run"`
}

// What is put at once: a request to a server holds it.
const (
	batchRecords = 256
	batchBytes   = 512 << 10
)

// Check reads an archive to its end and returns how many records it has, and
// the sums of their ids. An error says what is wrong with the first bad one.
func Check(r io.Reader, maxBytes int64) (Header, map[[16]byte]struct{}, error) {
	a, err := Open(r)
	if err != nil {
		return Header{}, nil, err
	}
	ids, size := map[[16]byte]struct{}{}, int64(0)
	for {
		rec, err := a.Next()
		if errors.Is(err, io.EOF) {
			return a.Header, ids, nil
		}
		if err != nil {
			return a.Header, nil, err
		}
		id := idSum(rec)
		if _, twice := ids[id]; twice {
			return a.Header, nil, fmt.Errorf("read archive: record %d: %s is there twice", a.count, rec)
		}
		ids[id] = struct{}{}
		if size += int64(len(rec.Key) + len(rec.Script) + len(rec.Value) + len(rec.Data)); maxBytes > 0 && size > maxBytes {
			return a.Header, nil, fmt.Errorf("read archive: it holds more than the %d bytes that the store takes", maxBytes)
		}
	}
}

func idSum(r *Record) (id [16]byte) {
	sum := sha256.Sum256([]byte(r.ID()))
	copy(id[:], sum[:])
	return id
}

// Restore reads the archive twice, from its beginning: first to its end, to see that it is good;
// then it stores what it holds.
func Restore(ctx context.Context, to Target, archive io.ReadSeeker, o RestoreOptions) (Summary, error) {
	s := &restore{Target: to, o: o, sum: Summary{Changes: map[Change]int{}, Dry: o.Dry}}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return s.sum, fmt.Errorf("read archive: %w", err)
	}
	_, ids, err := Check(archive, o.MaxBytes)
	if err != nil {
		return s.sum, err
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return s.sum, fmt.Errorf("read archive again: %w", err)
	}
	err = s.put(ctx, archive)
	if err == nil && o.Mode == Replace {
		err = s.remove(ctx, ids)
	}
	if !o.Dry { // also of half of it, somebody has to take note
		err = errors.Join(err, to.Finish(ctx))
	}
	return s.sum, err
}

type restore struct {
	Target
	o   RestoreOptions
	sum Summary
}

func (s *restore) put(ctx context.Context, archive io.Reader) error {
	a, err := Open(archive)
	if err != nil {
		return err
	}
	var batch []*Record
	size := 0
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		changes, err := s.Put(ctx, batch, s.o.Dry)
		if err != nil {
			return err
		}
		for i, c := range changes {
			s.tell(c, batch[i])
		}
		batch, size = nil, 0
		return nil
	}
	for {
		rec, err := a.Next()
		if errors.Is(err, io.EOF) {
			return flush()
		}
		if err != nil {
			return err
		}
		if !s.o.Only.Lets(rec) {
			continue
		}
		s.sum.Records++
		n := len(rec.Key) + len(rec.Value) + 2*len(rec.Data) + 200
		if len(batch) == batchRecords || size+n > batchBytes {
			if err := flush(); err != nil {
				return err
			}
		}
		batch, size = append(batch, rec), size+n
	}
}

func (s *restore) tell(c Change, r *Record) {
	s.sum.Changes[c]++
	if s.o.Tell != nil && c != Same {
		s.o.Tell(c, r)
	}
}

// remove deletes what the archive does not have.
func (s *restore) remove(ctx context.Context, ids map[[16]byte]struct{}) error {
	var gone []*Record
	only := s.o.Only
	only.NoValues = true
	err := s.Export(ctx, only, func(r *Record) error {
		if _, there := ids[idSum(r)]; !there {
			gone = append(gone, r)
		}
		return nil
	})
	if err != nil {
		return err
	}
	for len(gone) > 0 {
		n := min(len(gone), batchRecords)
		if !s.o.Dry {
			if err := s.Delete(ctx, gone[:n]); err != nil {
				return err
			}
		}
		for _, r := range gone[:n] {
			s.tell(Deleted, r)
		}
		gone = gone[n:]
	}
	return nil
}
