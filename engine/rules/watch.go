package rules

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
)

// The times of the watcher. A change is live within settle + the time to
// compile it, and at the latest patience + that if other files keep changing.
const (
	// settle is how long a file must have been left alone.
	settle = 40 * time.Millisecond
	// patience is how long a file that has settled waits for others that have
	// not, so that a change of many files is taken up at once.
	patience = 100 * time.Millisecond
	// rescan follows a load that met new directories or files being written.
	rescan = 25 * time.Millisecond
)

// watcher turns notifications of changes into loads.
type watcher struct {
	l       *Loader
	fs      *fsnotify.Watcher
	watched map[string]bool
	changed map[string]time.Time // by path on disk: the last notification
	again   time.Time            // when to load whatever happens; zero: not
}

// Watch keeps the Set in step with the directories until ctx ends, which is no
// error. Notifications tell it of changes; for what they miss (network file
// systems, overflow, a directory that appears later) it also looks every
// LoaderOptions.Poll. Call Load before.
func (l *Loader) Watch(ctx context.Context) error {
	fs, err := fsnotify.NewWatcher()
	if err != nil {
		l.opts.Logger.Warn("no notifications of changed rule files: looking for changes at intervals", "interval", l.opts.Poll, "err", err)
		fs = &fsnotify.Watcher{}
	} else {
		defer fs.Close()
	}
	if l.opts.Lint != nil {
		var wg sync.WaitGroup
		defer wg.Wait()
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		wg.Go(func() { l.lintLoop(ctx) })
	}
	w := &watcher{l: l, fs: fs, watched: map[string]bool{}, changed: map[string]time.Time{}}
	w.addWatches()
	w.again = time.Now() // what changed before the watches were there
	return w.run(ctx)
}

func (w *watcher) run(ctx context.Context) error {
	poll := time.NewTicker(w.l.opts.Poll)
	defer poll.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		w.schedule(timer)
		select {
		case <-ctx.Done():
			return nil
		case ev, ok := <-w.fs.Events:
			if !ok {
				w.fs.Events = nil
				continue
			}
			w.note(ev)
			continue
		case err, ok := <-w.fs.Errors:
			if !ok {
				w.fs.Errors = nil
				continue
			}
			if !errors.Is(err, fsnotify.ErrEventOverflow) {
				w.l.opts.Logger.Warn("watch rule files", "err", err)
			}
			w.again = time.Now().Add(settle)
			continue
		case <-timer.C:
		case <-poll.C:
		}
		if err := w.load(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// note records a notification.
func (w *watcher) note(ev fsnotify.Event) {
	if ev.Op == fsnotify.Chmod || isTemp(filepath.Base(ev.Name)) || !w.concerns(ev.Name) {
		return
	}
	w.changed[ev.Name] = time.Now()
	if ev.Has(fsnotify.Remove) || ev.Has(fsnotify.Rename) {
		delete(w.watched, ev.Name) // a directory of that name would be a new one
	}
}

// concerns leaves out what happens beside the rules directories: their parents
// are watched as well, for a directory that is replaced.
func (w *watcher) concerns(name string) bool {
	if w.l.watchedFile(name) {
		return true
	}
	for _, dir := range w.l.opts.Dirs {
		dir = filepath.Clean(dir)
		if name == dir {
			return true
		}
		if rel, err := filepath.Rel(dir, name); err == nil && rel != ".." && !hasParent(rel) {
			return true
		}
	}
	return false
}

func hasParent(rel string) bool { return len(rel) > 2 && rel[:3] == ".."+string(filepath.Separator) }

// schedule sets the timer to when the next load is due.
func (w *watcher) schedule(timer *time.Timer) {
	due := w.again
	if len(w.changed) > 0 {
		var first, last time.Time
		for _, t := range w.changed {
			if first.IsZero() || t.Before(first) {
				first = t
			}
			if t.After(last) {
				last = t
			}
		}
		at := last.Add(settle)
		if limit := first.Add(patience); limit.Before(at) {
			at = limit
		}
		if due.IsZero() || at.Before(due) {
			due = at
		}
	}
	if due.IsZero() {
		timer.Stop()
		return
	}
	timer.Reset(max(0, time.Until(due)))
}

// load loads what has settled; what has not keeps its previous version.
func (w *watcher) load(ctx context.Context) error {
	now := time.Now()
	changing := map[string]bool{}
	for name, at := range w.changed {
		if now.Sub(at) < settle {
			changing[name] = true
			continue
		}
		delete(w.changed, name)
	}
	w.again = time.Time{}
	_, report, err := w.l.load(ctx, false, changing)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("reload rules: %w", err)
	}
	if w.addWatches() || len(report.Pending) > 0 && len(changing) == 0 {
		w.again = time.Now().Add(rescan)
	}
	return nil
}

// addWatches watches the directories that the last scan found, and the parents
// of the rules directories. It reports whether there were new ones: what
// appeared in them before they were watched calls for another scan.
func (w *watcher) addWatches() bool {
	w.l.mu.Lock()
	var dirs []string
	if w.l.tree != nil {
		dirs = w.l.tree.dirs
	}
	w.l.mu.Unlock()
	current := make(map[string]bool, len(dirs))
	added := false
	watch := func(dir string) {
		current[dir] = true
		if w.watched[dir] || w.fs.Events == nil {
			return
		}
		if err := w.fs.Add(dir); err != nil {
			return // it went, or the limit of watches is reached: polling sees it
		}
		w.watched[dir], added = true, true
	}
	for _, dir := range dirs {
		watch(filepath.Clean(dir))
	}
	for _, f := range w.l.opts.Files {
		watch(filepath.Dir(filepath.Clean(f)))
	}
	for _, dir := range w.l.opts.Dirs {
		watch(filepath.Dir(filepath.Clean(dir)))
	}
	for dir := range w.watched {
		if !current[dir] {
			delete(w.watched, dir)
			_ = w.fs.Remove(dir) // it may be gone already
		}
	}
	return added
}
