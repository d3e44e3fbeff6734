package rules

import (
	"bytes"
	"path"
	"slices"
)

// overlay puts the texts of LoaderOptions.Overlay into a tree.
func (l *Loader) overlay(t *tree) {
	if l.opts.Overlay == nil {
		return
	}
	for p, content := range l.opts.Overlay() {
		at, isScript := slices.BinarySearch(t.scripts, p)
		if isScript {
			t.scripts = slices.Delete(t.scripts, at, at+1)
		}
		if content == nil || l.opts.Languages[path.Ext(p)] == "" {
			delete(t.files, p)
			continue
		}
		src := &source{path: p, text: &text{content}}
		if l.tree != nil {
			if prev := l.tree.files[p]; prev != nil && prev.text != nil && bytes.Equal(prev.text.bytes, content) {
				src.text = prev.text
			}
		}
		t.files[p] = src
		if IsScript(p) {
			t.scripts = slices.Insert(t.scripts, at, p)
		}
	}
}
