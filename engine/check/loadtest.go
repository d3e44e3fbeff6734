package check

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/starling-rules/starling/engine/rules"
	"github.com/starling-rules/starling/runtime"
)

// maxRounds bounds how deep the files that a test loads may nest.
const maxRounds = 32

// loadTest runs the top level of a test file, which defines tests and runs
// none.
func (c *Checker) loadTest(ctx context.Context, r *reading, loader *rules.Loader) []*runtime.Error {
	if c.testPool == nil {
		return nil
	}
	files := map[string][]byte{r.path: r.text}
	for range maxRounds {
		b := runtime.NewBundle(r.language, r.path, maps.Clone(files), nil)
		man, err := c.testPool.Load(ctx, b)
		c.testPool.Forget(b.Digest)
		if err != nil {
			return asErrors(r, err)
		}
		if len(man.Missing) == 0 {
			return nil
		}
		var errs []*runtime.Error
		for _, m := range man.Missing {
			if text := loader.Module(m.Path); text != nil {
				files[m.Path] = text
				continue
			}
			e := &runtime.Error{
				Kind: runtime.LoadError, Pos: m.Pos, Msg: fmt.Sprintf("cannot load %q: there is no such file below the rules directory", m.Name),
				Hint: didYouMean(m.Path, slices.Sorted(maps.Keys(sources(loader.Sources())))),
			}
			e.SetLine(files[m.Pos.Path])
			errs = append(errs, e)
		}
		if len(errs) > 0 {
			return errs
		}
	}
	return []*runtime.Error{{Kind: runtime.LoadError, Pos: runtime.Position{Path: r.path}, Msg: "loads files nested too deeply"}}
}

// asErrors are the problems behind an error of a pool.
func asErrors(r *reading, err error) []*runtime.Error {
	if many, ok := errors.AsType[runtime.Errors](err); ok {
		return many
	}
	if one, ok := errors.AsType[*runtime.Error](err); ok {
		return []*runtime.Error{one}
	}
	return []*runtime.Error{{Kind: runtime.InternalError, Pos: runtime.Position{Path: r.path}, Msg: err.Error()}}
}
