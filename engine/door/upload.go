package door

import (
	"context"
	"fmt"

	"github.com/starling-rules/starling/engine/slackapi"
	"github.com/starling-rules/starling/runtime"
)

// upload shares a file in three steps: Slack says where to, the content goes
// there, and the file is completed, which makes it appear. The first two leave
// nothing that anybody sees; the last is never done twice.
func (l *live) upload(ctx context.Context, r *Run, e runtime.Effect) (runtime.Value, error) {
	content, err := contentOf(e.Args)
	if err != nil {
		return nil, err
	}
	channel, thread, failed, err := l.shareIn(ctx, r, e)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return failed.Body, nil
	}
	o, name := behalf(r.Event), e.Args.Text("filename")
	ask := runtime.NewDict("filename", name, "length", int64(len(content)))
	if alt := e.Args.Text("alt"); alt != "" {
		ask.Set("alt_txt", alt)
	}
	if kind := e.Args.Text("snippet"); kind != "" {
		ask.Set("snippet_type", kind)
	}
	place, err := l.Slack.Call(ctx, "files.getUploadURLExternal", ask, o)
	if err != nil || !place.OK {
		return place.Body, err
	}
	id := place.Text("file_id")
	sent, err := l.Slack.SendFile(ctx, place.Text("upload_url"), content)
	if err != nil || !sent.OK {
		return sent.Body, err
	}
	title := e.Args.Text("title")
	if title == "" {
		title = name
	}
	share := runtime.NewDict("files", runtime.List{runtime.NewDict("id", id, "title", title)}, "channel_id", channel)
	if thread != "" {
		share.Set("thread_ts", thread)
	}
	if comment := e.Args.Text("comment"); comment != "" {
		share.Set("initial_comment", comment)
	}
	done, err := l.Slack.Call(ctx, "files.completeUploadExternal", share, o)
	if err != nil || !done.OK {
		return done.Body, err
	}
	v, err := runtime.ParseJSON(done.Body)
	if err != nil {
		return nil, err
	}
	res, _ := v.(*runtime.Dict)
	res.Set("file", id)
	res.Set("channel", channel)
	return res, nil
}

// contentOf is what the file holds.
func contentOf(args *runtime.Dict) ([]byte, error) {
	v, _ := args.Get("content")
	switch v := v.(type) {
	case string:
		return []byte(v), nil
	case []byte:
		return v, nil
	}
	return nil, fmt.Errorf("upload: content is a %s, want a text or bytes", runtime.TypeName(v))
}

// shareIn is where the file appears: in the channel that is given, else where
// the event came from, in its thread.
func (l *live) shareIn(ctx context.Context, r *Run, e runtime.Effect) (channel, thread string, failed *slackapi.Result, err error) {
	thread = e.Args.Text("thread_ts")
	channel = channelRef(e.Args.Text("channel"))
	switch {
	case channel == "" && r.Event.Channel == "":
		res := slackapi.Failed("no_conversation", "upload: no channel is given, and the event belongs to no conversation")
		return "", "", &res, nil
	case channel == "":
		if channel = r.Event.Channel; thread == "" {
			thread = r.Event.ThreadTS
		}
		return channel, thread, nil, nil
	}
	id, err := l.Slack.ChannelID(ctx, channel, behalf(r.Event))
	if err != nil {
		c, err := refusedCall(err)
		return "", "", c.failed, err
	}
	return id, thread, nil, nil
}
