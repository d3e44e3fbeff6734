package door

import (
	"context"
	"log/slog"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// Parse is omnibot_parse for a call that no script makes: in the fields of args
// that parse names, it turns names of the listed kinds into Slack's markup.
// Its error says what is wrong with parse.
func Parse(ctx context.Context, client *slackapi.Client, o slackapi.CallOptions, args, parse *runtime.Dict) error {
	l := &live{Deps: Deps{Slack: client, Logger: slog.New(slog.DiscardHandler)}}
	return l.unparseFields(ctx, call{args: args, o: o}, parse)
}
