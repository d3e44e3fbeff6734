package backup

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Remote is the Target that a running server is, through its admin port.
type Remote struct {
	// Base is its URL, without a slash at the end.
	Base   string
	Client *http.Client
}

var _ Target = (*Remote)(nil)

// The paths of the admin port.
const (
	PathState  = "/state"
	PathDelete = "/state/delete"
	PathFinish = "/state/finish"
)

// batch is what is put or deleted in one request.
type batch struct {
	Records []json.RawMessage `json:"records"`
}

// ReadBatch reads the body of a request of Put and Delete. What is to be
// deleted has no value.
func ReadBatch(body []byte) ([]*Record, error) {
	var in batch
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return nil, plainError(err)
	}
	out := make([]*Record, len(in.Records))
	for i, text := range in.Records {
		if err := strict(text); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, err)
		}
		out[i] = &Record{}
		if err := json.Unmarshal(text, out[i]); err != nil {
			return nil, fmt.Errorf("record %d: %w", i+1, plainError(err))
		}
	}
	return out, nil
}

func writeBatch(records []*Record) ([]byte, error) {
	var in batch
	for _, r := range records {
		text, err := marshal(r)
		if err != nil {
			return nil, err
		}
		in.Records = append(in.Records, text)
	}
	return json.Marshal(in)
}

// Query is the filter as the query of PathState; ReadQuery is its inverse.
func (o *Filter) Query() string {
	q := url.Values{}
	for name, v := range map[string]string{"kinds": strings.Join(o.Kinds, ","), "script": o.Script, "key": o.Key, "prefix": o.Prefix} {
		if v != "" {
			q.Set(name, v)
		}
	}
	if o.NoValues {
		q.Set("values", "no")
	}
	return q.Encode()
}

// ReadQuery reads a filter from the query of PathState.
func ReadQuery(q map[string]string) Filter {
	o := Filter{Script: q["script"], Key: q["key"], Prefix: q["prefix"], NoValues: q["values"] == "no"}
	if q["kinds"] != "" {
		o.Kinds = strings.Split(q["kinds"], ",")
	}
	return o
}

// end is the last line of a stream: without it, it was cut off.
const end = `{"end":true}`

// Stream writes the records that the filter lets through, one on a line.
func Stream(ctx context.Context, w io.Writer, from Target, only Filter) error {
	err := from.Export(ctx, only, func(r *Record) error {
		text, err := marshal(r)
		if err != nil {
			return err
		}
		_, err = w.Write(append(text, '\n'))
		return err
	})
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, end+"\n")
	return err
}

// Export implements Target.
func (r *Remote) Export(ctx context.Context, only Filter, f func(*Record) error) error {
	body, err := r.ask(ctx, http.MethodGet, PathState+"?"+only.Query(), nil)
	if err != nil {
		return err
	}
	defer body.Close()
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxRecord+1)
	for lines.Scan() {
		if lines.Text() == end {
			return nil
		}
		rec := &Record{}
		if err := json.Unmarshal(lines.Bytes(), rec); err != nil {
			return fmt.Errorf("read the server's answer: %w", err)
		}
		if err := f(rec); err != nil {
			return err
		}
	}
	return fmt.Errorf("read the server's answer: %w", errors.Join(lines.Err(), errors.New("it was cut off")))
}

// Put implements Target.
func (r *Remote) Put(ctx context.Context, records []*Record, dry bool) (out []Change, err error) {
	path := PathState
	if dry {
		path += "?dry=yes"
	}
	text, err := writeBatch(records)
	if err != nil {
		return nil, err
	}
	body, err := r.ask(ctx, http.MethodPost, path, text)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if err := json.NewDecoder(body).Decode(&out); err != nil {
		return nil, fmt.Errorf("read the server's answer: %w", err)
	}
	if len(out) != len(records) {
		return nil, errors.New("read the server's answer: it is of other records")
	}
	return out, nil
}

// Delete implements Target.
func (r *Remote) Delete(ctx context.Context, records []*Record) error {
	text, err := writeBatch(records)
	if err != nil {
		return err
	}
	return r.tell(ctx, PathDelete, text)
}

// Finish implements Target.
func (r *Remote) Finish(ctx context.Context) error { return r.tell(ctx, PathFinish, nil) }

func (r *Remote) tell(ctx context.Context, path string, text []byte) error {
	body, err := r.ask(ctx, http.MethodPost, path, text)
	if err != nil {
		return err
	}
	return body.Close()
}

// ask sends a request and returns the body of a good answer.
func (r *Remote) ask(ctx context.Context, method, path string, text []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, r.Base+path, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := r.Client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the server: %w", err)
	}
	if res.StatusCode == http.StatusOK {
		return res.Body, nil
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(res.Body, 4096))
	var problem struct{ Error string }
	if json.Unmarshal(b, &problem) == nil && problem.Error != "" {
		return nil, errors.New(problem.Error)
	}
	return nil, fmt.Errorf("server answered %s: %.200s", res.Status, b)
}
