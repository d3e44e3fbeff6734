package scripttest

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/starling-rules/starling/runtime"
)

// snapshotDir is where snapshots are, beside the tests.
const snapshotDir = "__snapshots__"

// snapshots are those of a Run, by file. Safe for concurrent use.
type snapshots struct {
	update bool
	mu     sync.Mutex
	files  map[string]*snapshotFile
}

// snapshotFile is one file: a txtar archive with a part for each snapshot.
type snapshotFile struct {
	old   map[string]string
	fresh map[string]string
	err   error
}

func newSnapshots(update bool) *snapshots {
	return &snapshots{update: update, files: map[string]*snapshotFile{}}
}

func (s *snapshots) file(path string) *snapshotFile {
	if f := s.files[path]; f != nil {
		return f
	}
	f := &snapshotFile{old: map[string]string{}, fresh: map[string]string{}}
	s.files[path] = f
	a, err := txtar.ParseFile(path)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			f.err = fmt.Errorf("read snapshots: %w", err)
		}
		return f
	}
	for _, part := range a.Files {
		f.old[part.Name] = string(part.Data)
	}
	return f
}

// compare returns what the snapshot of that name holds; ok is false if there
// is none. With update it takes text for the new one.
func (s *snapshots) compare(path, name, text string) (old string, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.file(path)
	if f.err != nil {
		return "", false, f.err
	}
	if s.update {
		f.fresh[name] = text
		return text, true, nil
	}
	old, ok = f.old[name]
	return old, ok, nil
}

// write stores what has changed. Snapshots of tests that were not run stay.
func (s *snapshots) write() error {
	if !s.update {
		return nil
	}
	for path, f := range s.files {
		all := maps.Clone(f.old)
		maps.Copy(all, f.fresh)
		if maps.Equal(all, f.old) {
			continue
		}
		a := &txtar.Archive{Comment: []byte("Written by starling test --update; compared by t.snapshot.\n")}
		for _, name := range slices.Sorted(maps.Keys(all)) {
			a.Files = append(a.Files, txtar.File{Name: name, Data: []byte(all[name])})
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return fmt.Errorf("write snapshots: %w", err)
		}
		if err := os.WriteFile(path, txtar.Format(a), 0o666); err != nil {
			return fmt.Errorf("write snapshots: %w", err)
		}
	}
	return nil
}

// snapshot is t.snapshot.
func snapshot(w *world, _ *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	w.shots++
	name := w.t.Name
	switch n := a.Text("name"); {
	case n != "":
		name += " " + n
	case w.shots > 1:
		name += fmt.Sprintf(" %d", w.shots)
	}
	v, _ := a.Get("value")
	if r, ok := v.(*run); ok {
		v = r.picture()
	}
	text := lines(v)
	// Lines that look like those between the parts of the file are indented.
	text = strings.ReplaceAll("\n"+text, "\n-- ", "\n --  ")[1:]
	path := filepath.Join(filepath.Dir(w.s.file), snapshotDir, filepath.Base(w.s.file)+".txtar")
	old, ok, err := w.s.r.snaps.compare(path, name, text)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		f := failf("there is no snapshot %q yet", name)
		f.Error.Hint = "starling test --update writes it"
		f.Diff = differ("", text)
		return nil, w.raise(f)
	case old != text:
		f := differing(old, text, "the snapshot %q is another", name)
		f.Error.Hint = "if the change is meant: starling test --update"
		return nil, w.raise(f)
	}
	return nil, nil
}

// picture is all that a run did, as data that is the same each time.
func (r *run) picture() *runtime.Dict {
	calls := runtime.List{}
	for _, c := range r.calls() {
		d := c.dict()
		for _, k := range []string{"trigger_id", "client_msg_id"} {
			d.Delete(k)
		}
		calls = append(calls, d)
	}
	d := runtime.NewDict("outcome", r.outcome(), "calls", calls)
	requests := runtime.List{}
	for _, q := range r.requests() {
		x := q.dict()
		x.Delete("headers")
		requests = append(requests, x)
	}
	if len(requests) > 0 {
		d.Set("requests", requests)
	}
	if v := r.answered(); v != nil {
		d.Set("answer", plain(v))
	}
	logs := runtime.List{}
	for _, t := range r.ended() {
		for _, l := range t.Logs {
			logs = append(logs, l)
		}
	}
	if len(logs) > 0 {
		d.Set("logs", logs)
	}
	return d
}
