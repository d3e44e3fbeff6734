package slackapi

import (
	"context"

	"github.com/starling-rules/starling/runtime"
)

// DefaultMaxPages bounds a walk over pages.
const DefaultMaxPages = 100

// Pages calls a method page by page, until there is no further cursor, each
// returns false, an answer is not ok, or maxPages (0: DefaultMaxPages) have
// come. It returns the last answer, and whether the walk reached the end.
// A cursor that comes twice ends the walk with the error "cursor_repeated".
func (c *Client) Pages(ctx context.Context, method string, args *runtime.Dict, o CallOptions, maxPages int, each func(page Result) bool) (last Result, complete bool, err error) {
	if maxPages <= 0 {
		maxPages = DefaultMaxPages
	}
	args = args.Clone()
	seen := map[string]bool{args.Text("cursor"): true}
	for range maxPages {
		last, err = c.Call(ctx, method, args, o)
		if err != nil || !last.OK {
			return last, false, err
		}
		more := each(last)
		cursor := last.Text("response_metadata", "next_cursor")
		if cursor == "" {
			return last, true, nil
		}
		if !more {
			return last, false, nil
		}
		if seen[cursor] {
			return failure("cursor_repeated", "Slack gave the same cursor twice"), false, nil
		}
		seen[cursor] = true
		args.Set("cursor", cursor)
	}
	return last, false, nil
}
