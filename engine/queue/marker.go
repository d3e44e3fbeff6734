package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// marker is what a data directory says of itself: the server would take a
// stream whose definition was damaged for one that never was.
type marker struct {
	Format  int      `json:"format"`
	Shards  int      `json:"shards"`
	Ready   bool     `json:"ready"` // the streams have been created
	Streams []string `json:"streams"`
}

const markerName = "starling.json"

// readMarker returns nil if the directory is new. A directory with data but
// without a marker is damaged, or not ours.
func readMarker(dir string) (*marker, error) {
	b, err := os.ReadFile(filepath.Join(dir, markerName))
	if errors.Is(err, fs.ErrNotExist) {
		if entries, err := os.ReadDir(filepath.Join(dir, "jetstream")); err == nil && len(entries) > 0 {
			return nil, fmt.Errorf("open data directory %s: it holds streams but no %s: %w", dir, markerName, ErrDamaged)
		}
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	var m marker
	if err := json.Unmarshal(b, &m); err != nil || m.Shards < 1 || m.Format < 1 {
		return nil, fmt.Errorf("open data directory %s: %s cannot be read: %w", dir, markerName, ErrDamaged)
	}
	if m.Format > formatVersion {
		return nil, fmt.Errorf("open data directory %s: format %d: %w", dir, m.Format, errNewer)
	}
	return &m, nil
}

// write replaces the marker so that a crash leaves the old one or the new one.
func (m *marker) write(dir string) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("write %s: %w", markerName, err)
	}
	tmp := filepath.Join(dir, markerName+".new")
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", markerName, err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, filepath.Join(dir, markerName))
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", markerName, err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// missing is an error that names the streams of the marker that are not there.
func (m *marker) missing(dir string, have []string) error {
	var gone []string
	for _, name := range m.Streams {
		if !slices.Contains(have, name) {
			gone = append(gone, name)
		}
	}
	if len(gone) == 0 || !m.Ready {
		return nil
	}
	return fmt.Errorf("open data directory %s: streams %s are gone: %w", dir, strings.Join(gone, ", "), ErrDamaged)
}
