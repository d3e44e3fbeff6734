package talk

import (
	"strings"

	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib/internal/declare"
)

// maxFile bounds what a script uploads, in bytes: it is kept with the run until
// it is sent.
const maxFile = 256 << 10

// uploads declares upload.
func uploads() []*runtime.Builtin {
	b := effect("upload", "Share a file that the script has made.",
		"It appears where the event came from, in its thread, unless `channel` says otherwise. For what is too long for a message: a log, a table, a report. Needs the scope files:write.",
		"A file in doubt after a crash is not shared again.", upload,
		[]runtime.Param{
			declare.Arg("content", runtime.TString|runtime.TBytes, "What the file holds, at most 256 KiB."),
			declare.Arg("filename", runtime.TString, "Its name, with the ending: Slack shows `report.csv` as a table."),
			declare.Key("channel", runtime.TString, nil, "Name with or without #, or id; where the event came from if left out."),
			declare.Key("title", runtime.TString, nil, "Title; the name if left out."),
			declare.Key("comment", runtime.TString, nil, "Message that goes with it."),
			declare.Key("thread_ts", runtime.TString, nil, "Share it in this thread."),
			declare.Key("alt", runtime.TString, nil, "What a picture shows, for those who cannot see it."),
			declare.Key("snippet", runtime.TString, nil, "Show it as a snippet of this language, such as `python`."),
		},
		runtime.Example{
			Star: `upload("a,b\n1,2", "table.csv", comment="as you asked")`, Lua: `upload("a,b\n1,2", "table.csv", {comment = "as you asked"})`,
			Want: `{"effect":"upload","args":{"content":"a,b\n1,2","filename":"table.csv","comment":"as you asked"}}`,
		},
		runtime.Example{Star: `upload("", "empty.txt")`, Fails: true, Want: "nothing to upload"},
		runtime.Example{Star: `upload("x", "a/b.txt")`, Fails: true, Want: "not the name of a file"})
	b.Result = "result: `.ok`, `.error`, `.file` (its id), `.channel` and the fields of Slack's answer"
	return []*runtime.Builtin{b}
}

func upload(x *runtime.Context, a *runtime.Args) (runtime.Value, error) {
	size := len(a.Text("content"))
	if v, _ := a.Get("content"); v != nil {
		if b, is := v.([]byte); is {
			size = len(b)
		}
	}
	name := a.Text("filename")
	switch {
	case size == 0:
		return nil, declare.Hint("Slack takes no empty file", "upload: there is nothing to upload")
	case size > maxFile:
		return nil, declare.Hint("", "upload: content has %d bytes, at most %d are taken", size, maxFile)
	case strings.TrimSpace(name) == "" || len(name) > 255 || strings.ContainsAny(name, "/\\\x00\n\r"):
		return nil, declare.Hint("such as \"report.csv\"", "upload: %q is not the name of a file", name)
	}
	return x.Do("upload", a.Dict)
}
