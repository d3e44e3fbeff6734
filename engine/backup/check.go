package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/starling-rules/starling/engine/door"
	"github.com/starling-rules/starling/engine/install"
	"github.com/starling-rules/starling/engine/wait"
	"github.com/starling-rules/starling/runtime"
)

// The bounds of a record.
const (
	maxRecord = 4 << 20 // bytes of its JSON
	maxDepth  = runtime.MaxDepth + 4
	maxName   = 1024 // bytes of a script's path, and of what is no key of a script
)

// ReadRecord reads the JSON of one record, strictly: fields that it does not
// know, or that are there twice, and numbers that are out of range are errors.
func ReadRecord(text []byte) (*Record, error) {
	if len(text) > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes, the limit is %d", len(text), maxRecord)
	}
	if err := strict(text); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	r := &Record{}
	if err := dec.Decode(r); err != nil {
		return nil, plainError(err)
	}
	return r, r.Check()
}

// plainError is what is wrong, without Go's names.
func plainError(err error) error {
	if bad, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s: got a %s", bad.Field, bad.Value)
	}
	return errors.New(strings.TrimPrefix(err.Error(), "json: "))
}

// strict walks JSON that is about to be decoded, and refuses what decoders
// disagree about.
func strict(text []byte) error {
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	type level struct {
		dict bool
		key  bool // a key comes next
		seen map[string]bool
	}
	var levels []level
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return plainError(err)
		}
		top := len(levels) - 1
		if s, ok := tok.(string); ok && top >= 0 && levels[top].dict && levels[top].key {
			if levels[top].seen[s] {
				return fmt.Errorf("field %.100q is there twice", s)
			}
			levels[top].seen[s], levels[top].key = true, false
			continue
		}
		switch t := tok.(type) {
		case json.Delim:
			if t == '{' || t == '[' {
				if len(levels) == maxDepth {
					return fmt.Errorf("nested more than %d deep", maxDepth)
				}
				levels = append(levels, level{dict: t == '{', key: t == '{', seen: map[string]bool{}})
				continue
			}
			levels = levels[:top]
			top--
		case json.Number:
			if err := inRange(t.String()); err != nil {
				return err
			}
		}
		if top >= 0 && levels[top].dict {
			levels[top].key = true
		}
	}
}

// inRange refuses numbers that scripts would see as others.
func inRange(n string) error {
	if len(n) > 64 {
		return fmt.Errorf("a number of %d digits", len(n))
	}
	if !strings.ContainsAny(n, ".eE") {
		if _, err := strconv.ParseInt(n, 10, 64); err != nil {
			return fmt.Errorf("number %s is out of range", n)
		}
		return nil
	}
	if f, err := strconv.ParseFloat(n, 64); err != nil || math.IsInf(f, 0) {
		return fmt.Errorf("number %s is out of range", n)
	}
	return nil
}

// Check says what is wrong with a record, or nil.
func (r *Record) Check() error {
	if !slices.Contains(Kinds, r.Kind) {
		hint := ""
		if n := runtime.Nearest(r.Kind, Kinds); n != "" {
			hint = fmt.Sprintf(" (did you mean %s?)", n)
		}
		return fmt.Errorf("unknown kind %.40q%s", r.Kind, hint)
	}
	if err := r.checkNames(); err != nil {
		return err
	}
	if r.Kind == Timer {
		if r.At == nil || r.At.Year() < 1970 || r.At.Year() > 2261 {
			return errors.New("at: want the time when the timer falls due")
		}
	} else if r.At != nil || r.Owner != "" {
		return fmt.Errorf("only timers have at and owner")
	}
	if r.Expires != nil && (r.Kind == Timer || r.Expires.Year() < 1970 || r.Expires.Year() > 2261) {
		return errors.New("expires: want a time before 2262, and none for timers")
	}
	if r.Value != nil {
		if err := strict(r.Value); err != nil {
			return fmt.Errorf("value: %w", err)
		}
	}
	b, err := r.held()
	if err != nil {
		return err
	}
	switch r.Kind {
	case Install:
		return install.CheckRecord(r.Key, b)
	case Wait, Source:
		if r.Value != nil || r.Expires != nil {
			return fmt.Errorf("%s has data alone", r.Kind)
		}
		if r.Kind == Source {
			return checkSource(r.Key, b)
		}
		_, _, err = wait.Parked(r.Key, bytes.Clone(b))
	}
	return err
}

// checkSource refuses what are no sources, and those of another version than
// the name says. The sum is taken as it is: it counts the version of the
// compiler, which may have been another one when it was made.
func checkSource(name string, b []byte) error {
	bundle, err := runtime.DecodeBundle(bytes.Clone(b))
	if err != nil {
		return fmt.Errorf("data: %w", err)
	}
	if bundle.Digest.String() != name {
		return errors.New("data: not the version that the key says")
	}
	return nil
}

func (r *Record) checkNames() error {
	limit := maxName
	if kept(r.Kind) && r.Kind != Conversation {
		limit = door.DefaultMaxKey
	}
	ofScript := kept(r.Kind) && r.Kind != Shared
	for _, name := range []string{r.Script, r.Key, r.Owner} {
		if !utf8.ValidString(name) {
			return errors.New("names have to be UTF-8")
		}
	}
	switch {
	case r.Key == "":
		return errors.New("key is empty")
	case len(r.Key) > limit:
		return fmt.Errorf("key has %d bytes, the limit is %d", len(r.Key), limit)
	case len(r.Owner) > maxName:
		return fmt.Errorf("owner has %d bytes, the limit is %d", len(r.Owner), maxName)
	case ofScript != (r.Script != ""):
		if ofScript {
			return errors.New("script is empty")
		}
		return fmt.Errorf("%s is of no script", r.Kind)
	case len(r.Script) > maxName, strings.Contains(r.Script, "//"), strings.HasSuffix(r.Script, "/"), strings.HasPrefix(r.Script, "/"):
		return fmt.Errorf("script: want a path such as deploy.star (got %.100q)", r.Script)
	case r.Kind != Timer && len(r.place()) > maxName:
		return fmt.Errorf("script and key have more than %d bytes", maxName)
	}
	// What is kept elsewhere is not to be written past its own kind.
	if r.Kind == State {
		if other := recordAt(r.Key); other == nil || other.Kind != State {
			return errors.New("this key is none of the kind state")
		}
	}
	return nil
}

// over tells that the time of the record is over.
func (r *Record) over(now time.Time) bool { return r.Expires != nil && !now.Before(*r.Expires) }
