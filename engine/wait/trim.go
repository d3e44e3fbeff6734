package wait

import (
	"cmp"
	"context"
	"slices"
)

// trim drops the oldest ended rows until the rest takes nine tenths of what is
// allowed. It is left to the next time if the store does not want to.
func (g *Registry) trim(ctx context.Context) {
	if !g.trimming.TryLock() {
		return
	}
	defer g.trimming.Unlock()
	var ended []Summary
	var bytes int64
	err := g.List(ctx, func(s Summary) {
		if s.State == Ended {
			ended = append(ended, s)
			bytes += int64(s.Bytes)
		}
	})
	if err != nil {
		g.o.Logger.Warn("list ended runs", "err", err)
		return
	}
	slices.SortFunc(ended, func(a, b Summary) int { return cmp.Compare(a.Rev, b.Rev) })
	for _, s := range ended {
		if bytes <= g.o.RetentionBytes/10*9 {
			break
		}
		if err := g.rows.Drop(ctx, s.Run, s.Rev); err != nil {
			g.o.Logger.Warn("drop an ended run", "run", s.Run, "err", err)
			break
		}
		bytes -= int64(s.Bytes)
	}
	g.ended.Store(bytes)
}
