package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// Format and Version name the form of an archive.
const (
	Format  = "starling-backup"
	Version = 1
)

// Header is how an archive begins.
type Header struct {
	Format  string    `json:"format"`
	Version int       `json:"version"`
	Created time.Time `json:"created"`
	// Starling is the version of the program that wrote it.
	Starling string `json:"starling,omitempty"`
}

// Writer writes an archive.
type Writer struct {
	w     io.Writer
	sum   hash.Hash
	count int
}

// NewWriter begins an archive.
func NewWriter(w io.Writer, h Header) (*Writer, error) {
	h.Format, h.Version = Format, Version
	head, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(w, "%s,\"records\":[", head[:len(head)-1])
	return &Writer{w: w, sum: sha256.New()}, err
}

// Add writes a record.
func (w *Writer) Add(r *Record) error {
	text, err := marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", r, err)
	}
	begin := ",\n"
	if w.count == 0 {
		begin = "\n"
	}
	w.count++
	w.sum.Write(text)
	_, err = fmt.Fprintf(w.w, "%s%s", begin, text)
	return err
}

// marshal is a record on a line. Markup stays as it is.
func marshal(r *Record) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// Close writes the end; how many records it has written is returned.
func (w *Writer) Close() (int, error) {
	_, err := fmt.Fprintf(w.w, "\n],\"count\":%d,\"sha256\":%q}\n", w.count, hex.EncodeToString(w.sum.Sum(nil)))
	return w.count, err
}

// Write writes what from holds and the filter lets through, and returns how
// many records that were.
func Write(ctx context.Context, w io.Writer, from Target, h Header, only Filter) (int, error) {
	var aw *Writer
	begin := func() (err error) {
		if aw == nil {
			aw, err = NewWriter(w, h)
		}
		return err
	}
	// Nothing is written where there is nobody to ask.
	err := from.Export(ctx, only, func(r *Record) error {
		if err := begin(); err != nil {
			return err
		}
		return aw.Add(r)
	})
	if err != nil {
		return 0, err
	}
	if err := begin(); err != nil {
		return 0, err
	}
	return aw.Close()
}

// Archive is an archive that is being read.
type Archive struct {
	Header
	in     *measured
	dec    *json.Decoder
	sum    hash.Hash
	count  int
	closed bool
}

// measured is a reader that gives no more than so many bytes until it is told
// to: a decoder holds one value, which may be without an end.
type measured struct {
	r    io.Reader
	left int
}

var errLarge = fmt.Errorf("a record of more than %d bytes", maxRecord)

func (m *measured) Read(b []byte) (int, error) {
	if m.left <= 0 {
		return 0, errLarge
	}
	n, err := m.r.Read(b[:min(len(b), m.left)])
	m.left -= n
	return n, err
}

// Open reads the beginning of an archive.
func Open(r io.Reader) (*Archive, error) {
	a := &Archive{in: &measured{r: r}, sum: sha256.New()}
	a.dec = json.NewDecoder(a.in)
	a.dec.UseNumber()
	if err := a.begin(); err != nil {
		return nil, fmt.Errorf("read archive: %w", err)
	}
	return a, nil
}

func (a *Archive) begin() error {
	a.more()
	if tok, err := a.dec.Token(); err != nil || tok != json.Delim('{') {
		return fmt.Errorf("it is no JSON document of %s (if it is compressed, uncompress it first)", Format)
	}
	fields := map[string]json.RawMessage{}
	for a.dec.More() {
		name, err := a.name(fields)
		if err != nil {
			return err
		}
		if name == "records" {
			break
		}
		if fields[name], err = a.raw(); err != nil {
			return err
		}
	}
	head, err := json.Marshal(fields)
	if err != nil {
		return plainError(err)
	}
	dec := json.NewDecoder(bytes.NewReader(head))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&a.Header); err != nil {
		return fmt.Errorf("the beginning: %w", plainError(err))
	}
	switch {
	case a.Format != Format:
		return fmt.Errorf("want \"format\": %q first (got %.40q)", Format, a.Format)
	case a.Version != Version:
		return fmt.Errorf("it is of version %d, and this program reads version %d", a.Version, Version)
	}
	if tok, err := a.dec.Token(); err != nil || tok != json.Delim('[') {
		return errors.New("want \"records\": a list")
	}
	return nil
}

// name reads the name of the next field of the document.
func (a *Archive) name(seen map[string]json.RawMessage) (string, error) {
	tok, err := a.dec.Token()
	if err != nil {
		return "", plainError(err)
	}
	name, _ := tok.(string)
	if _, twice := seen[name]; twice {
		return "", fmt.Errorf("field %.40q is there twice", name)
	}
	return name, nil
}

// more lets the decoder read what one record may take beyond what it holds.
func (a *Archive) more() { a.in.left = maxRecord }

func (a *Archive) raw() (json.RawMessage, error) {
	a.more()
	var text json.RawMessage
	if err := a.dec.Decode(&text); err != nil {
		if errors.Is(err, errLarge) {
			return nil, errLarge
		}
		return nil, plainError(err)
	}
	return text, nil
}

// Next returns the next record, checked, or io.EOF when the archive is whole.
// The first error is the last.
func (a *Archive) Next() (*Record, error) {
	if a.closed {
		return nil, io.EOF
	}
	a.more()
	if !a.dec.More() {
		a.closed = true
		if err := a.end(); err != nil {
			return nil, fmt.Errorf("read archive: %w", err)
		}
		return nil, io.EOF
	}
	a.count++
	r, err := a.record()
	if err != nil {
		a.closed = true
		return nil, fmt.Errorf("read archive: record %d: %w", a.count, err)
	}
	return r, nil
}

func (a *Archive) record() (*Record, error) {
	text, err := a.raw()
	if err != nil {
		return nil, err
	}
	a.sum.Write(compact(text))
	return ReadRecord(text)
}

// end reads what follows the records: an archive that was cut off has none. An
// archive that people have written or changed may leave count and sum out.
func (a *Archive) end() error {
	a.more()
	if tok, err := a.dec.Token(); err != nil || tok != json.Delim(']') {
		return errors.New("it is cut off in the records")
	}
	seen := map[string]json.RawMessage{"records": nil, "format": nil, "version": nil}
	for a.dec.More() {
		name, err := a.name(seen)
		if err != nil {
			return err
		}
		if seen[name], err = a.raw(); err != nil {
			return err
		}
		switch name {
		case "count":
			if string(seen[name]) != fmt.Sprint(a.count) {
				return fmt.Errorf("it has %d records, and says %.20s", a.count, seen[name])
			}
		case "sha256":
			if string(seen[name]) != `"`+hex.EncodeToString(a.sum.Sum(nil))+`"` {
				return errors.New("the records are not those that were written: their sum differs (leave \"sha256\" out if that is meant)")
			}
		default:
			return fmt.Errorf("unknown field %.40q", name)
		}
	}
	if tok, err := a.dec.Token(); err != nil || tok != json.Delim('}') {
		return errors.New("it is cut off")
	}
	a.more()
	if _, err := a.dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind its end")
	}
	return nil
}
