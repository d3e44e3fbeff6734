package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

// TestLanguageServer plays the sessions of testdata/lsp: an editor that speaks
// with the real program over its standard input and output. A line that begins
// with > is what the editor asks; what is indented below is what it is told.
// The place of the cursor is ¦ in a text that is in the file once.
func TestLanguageServer(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/lsp/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatalf("found %d sessions: %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			a := txtar.Parse(data)
			ed := startEditor(t, a)
			a.Comment = []byte(ed.play(string(a.Comment)))
			got := txtar.Format(a)
			if *update && !bytes.Equal(got, data) {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(data), string(got)); diff != "" {
				t.Fatalf("the session differs; -update writes it (-want +got)\n%s", diff)
			}
		})
	}
}

// editor is a client of the language server.
type editor struct {
	t     *testing.T
	dir   string
	cmd   *exec.Cmd
	in    io.WriteCloser
	next  int
	texts map[string]string // open files
	ver   map[string]int
	// replies are answers and notifications, as they come.
	replies  chan map[string]json.RawMessage
	problems map[string][]byte // the last diagnostics, by URI
	version  map[string]int    // what they are for
}

func startEditor(t *testing.T, a *txtar.Archive) *editor {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range a.Files {
		p := filepath.Join(dir, f.Name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o777), os.WriteFile(p, f.Data, 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	e := &editor{
		t: t, dir: dir, texts: map[string]string{}, ver: map[string]int{}, replies: make(chan map[string]json.RawMessage, 100),
		problems: map[string][]byte{}, version: map[string]int{},
	}
	e.cmd = exec.CommandContext(t.Context(), binary(t), "lsp")
	e.cmd.Stderr = os.Stderr
	e.cmd.Env = append(os.Environ(), "NO_COLOR=1")
	in, err := e.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := e.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	e.in = in
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = e.cmd.Wait()
	})
	go e.read(bufio.NewReader(out))
	return e
}

// read takes in what the server says, until it ends.
func (e *editor) read(out *bufio.Reader) {
	defer close(e.replies)
	for {
		length := 0
		for {
			line, err := out.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimSpace(line); line == "" {
				break
			}
			if n, ok := strings.CutPrefix(line, "Content-Length: "); ok {
				length, _ = strconv.Atoi(n)
			}
		}
		body := make([]byte, length)
		if _, err := io.ReadFull(out, body); err != nil {
			return
		}
		var msg map[string]json.RawMessage
		if err := json.Unmarshal(body, &msg); err != nil {
			msg = map[string]json.RawMessage{"error": json.RawMessage(strconv.Quote(string(body)))}
		}
		e.replies <- msg
	}
}

func (e *editor) send(v any) {
	body, err := json.Marshal(v)
	if err != nil {
		e.t.Fatal(err)
	}
	e.raw(fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body))
}

func (e *editor) raw(text string) {
	if _, err := io.WriteString(e.in, text); err != nil {
		e.t.Fatalf("write to the server: %v", err)
	}
}

func (e *editor) notify(method string, params any) {
	e.send(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
}

// receive waits for the next message; diagnostics are kept on the way.
func (e *editor) receive() map[string]json.RawMessage {
	e.t.Helper()
	select {
	case msg, ok := <-e.replies:
		if !ok {
			e.t.Fatal("the server has ended")
		}
		if string(msg["method"]) == `"textDocument/publishDiagnostics"` {
			var p struct {
				URI         string
				Version     int
				Diagnostics json.RawMessage
			}
			if err := json.Unmarshal(msg["params"], &p); err != nil {
				e.t.Fatal(err)
			}
			e.problems[p.URI], e.version[p.URI] = p.Diagnostics, p.Version
		}
		return msg
	case <-time.After(30 * time.Second):
		e.t.Fatal("the server does not answer")
		return nil
	}
}

// call asks and returns the result, or the error as text.
func (e *editor) call(method string, params, result any) string {
	e.t.Helper()
	e.next++
	e.send(map[string]any{"jsonrpc": "2.0", "id": e.next, "method": method, "params": params})
	for {
		msg := e.receive()
		if string(msg["id"]) != strconv.Itoa(e.next) {
			continue
		}
		if len(msg["error"]) > 0 {
			var rpc struct{ Message string }
			_ = json.Unmarshal(msg["error"], &rpc)
			return "error: " + rpc.Message + "\n"
		}
		if len(msg["result"]) > 0 {
			if err := json.Unmarshal(msg["result"], result); err != nil {
				e.t.Fatalf("%s: %v in %s", method, err, msg["result"])
			}
		}
		return ""
	}
}

func (e *editor) uri(file string) string {
	return "file://" + filepath.ToSlash(filepath.Join(e.dir, file))
}

type position struct{ Line, Character int }

type span struct{ Start, End position }

// place is the position of a byte in a text, in UTF-16 units.
func place(text string, offset int) position {
	before := text[:offset]
	line := strings.LastIndexByte(before, '\n') + 1
	return position{strings.Count(before, "\n"), len(utf16.Encode([]rune(before[line:])))}
}

// find returns the offset of a text that is in a file once.
func (e *editor) find(file, what string) int {
	e.t.Helper()
	text := e.texts[file]
	if strings.Count(text, what) != 1 {
		e.t.Fatalf("%q is %d times in %s", what, strings.Count(text, what), file)
	}
	return strings.Index(text, what)
}

// cursor is the place of ¦ in a text.
func (e *editor) cursor(file, mark string) position {
	e.t.Helper()
	before, after, ok := strings.Cut(mark, "¦")
	if !ok {
		e.t.Fatalf("no ¦ in %q", mark)
	}
	return place(e.texts[file], e.find(file, before+after)+len(before))
}

// slice is the text of a range, on one line.
func (e *editor) slice(file string, s span) string {
	lines := strings.SplitAfter(e.texts[file], "\n")
	cut := func(p position) int {
		n := 0
		for _, l := range lines[:min(p.Line, len(lines))] {
			n += len(l)
		}
		if p.Line < len(lines) {
			u := utf16.Encode([]rune(lines[p.Line]))
			n += len(string(utf16.Decode(u[:min(p.Character, len(u))])))
		}
		return n
	}
	text := []rune(strings.ReplaceAll(e.texts[file][cut(s.Start):cut(s.End)], "\n", "⏎"))
	if len(text) > 60 {
		text = append(text[:60], '…')
	}
	return string(text)
}

// play plays a session and returns it with what the server says.
func (e *editor) play(session string) string {
	e.t.Helper()
	var out strings.Builder
	for line := range strings.Lines(session) {
		if strings.HasPrefix(line, "    ") {
			continue // what was said the last time
		}
		out.WriteString(line)
		ask, ok := strings.CutPrefix(line, "> ")
		if !ok {
			continue
		}
		var words []string
		for rest := strings.TrimSpace(ask); rest != ""; rest = strings.TrimSpace(rest) {
			word, _, _ := strings.Cut(rest, " ")
			if q, err := strconv.QuotedPrefix(rest); err == nil {
				rest = rest[len(q):]
				word, _ = strconv.Unquote(q)
			} else {
				rest = rest[len(word):]
			}
			words = append(words, word)
		}
		answer := strings.ReplaceAll(e.do(words[0], append(words[1:], "", "", "")), e.dir, "$DIR")
		for said := range strings.Lines(answer) {
			if said = strings.TrimRight(said, " \n"); said != "" {
				out.WriteString("    " + said + "\n")
			}
		}
	}
	return out.String()
}

// do does what a line says.
func (e *editor) do(what string, arg []string) string {
	e.t.Helper()
	file, doc := arg[0], map[string]any{"uri": e.uri(arg[0])}
	about := func() map[string]any {
		return map[string]any{"textDocument": doc, "position": e.cursor(file, arg[1])}
	}
	switch what {
	case "initialize":
		var result struct{ ServerInfo struct{ Name string } }
		said := e.call("initialize", map[string]any{"rootUri": e.uri(""), "capabilities": map[string]any{}}, &result)
		e.notify("initialized", map[string]any{})
		return said + result.ServerInfo.Name + "\n"
	case "shutdown":
		var result any
		said := e.call("shutdown", nil, &result)
		e.notify("exit", nil)
		if err := e.cmd.Wait(); err != nil {
			return said + err.Error() + "\n"
		}
		return said + "it ends with exit code 0\n"
	case "raw":
		e.raw(arg[0])
		return ""
	case "reply":
		msg := e.receive()
		return string(msg["error"]) + "\n"
	case "call":
		var result json.RawMessage
		said := e.call(arg[0], json.RawMessage(arg[1]), &result)
		return said + string(result) + "\n"
	case "open":
		text, err := os.ReadFile(filepath.Join(e.dir, file))
		if err != nil {
			e.t.Fatal(err)
		}
		e.texts[file], e.ver[file] = string(text), 1
		e.notify("textDocument/didOpen", map[string]any{"textDocument": map[string]any{"uri": e.uri(file), "languageId": "x", "version": 1, "text": string(text)}})
	case "change":
		i := e.find(file, arg[1])
		old := e.texts[file]
		e.ver[file]++
		e.texts[file] = old[:i] + arg[2] + old[i+len(arg[1]):]
		e.notify("textDocument/didChange", map[string]any{
			"textDocument":   map[string]any{"uri": e.uri(file), "version": e.ver[file]},
			"contentChanges": []any{map[string]any{"range": span{place(old, i), place(old, i+len(arg[1]))}, "text": arg[2]}},
		})
	case "save":
		if err := os.WriteFile(filepath.Join(e.dir, file), []byte(e.texts[file]), 0o666); err != nil {
			e.t.Fatal(err)
		}
		e.notify("textDocument/didSave", map[string]any{"textDocument": doc})
	case "close":
		e.notify("textDocument/didClose", map[string]any{"textDocument": doc})
	case "problems":
		return e.showProblems(file)
	case "complete":
		before, _, _ := strings.Cut(arg[1], "¦")
		typed := before[strings.LastIndexFunc(before, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) })+1:]
		return e.complete(about(), typed)
	case "hover":
		var result *struct{ Contents struct{ Value string } }
		said := e.call("textDocument/hover", about(), &result)
		if result == nil {
			return said + "nothing\n"
		}
		return said + result.Contents.Value
	case "signature":
		return e.signature(about())
	case "definition":
		var places []struct {
			URI   string
			Range span
		}
		said := e.call("textDocument/definition", about(), &places)
		for _, p := range places {
			said += fmt.Sprintf("%s:%d:%d\n", strings.TrimPrefix(p.URI, e.uri("")+"/"), p.Range.Start.Line+1, p.Range.Start.Character+1)
		}
		return orElse(said, "nowhere\n")
	case "symbols":
		var list []struct {
			Name, Detail string
			Range        span
		}
		said := e.call("textDocument/documentSymbol", map[string]any{"textDocument": doc}, &list)
		for _, s := range list {
			said += fmt.Sprintf("%s%s  lines %d-%d\n", s.Name, s.Detail, s.Range.Start.Line+1, s.Range.End.Line+1)
		}
		return said
	case "format":
		var edits []struct {
			Range   span
			NewText string
		}
		said := e.call("textDocument/formatting", map[string]any{"textDocument": doc, "options": map[string]any{"tabSize": 4}}, &edits)
		for _, x := range edits {
			said += fmt.Sprintf("%s\nbecomes\n%s", e.slice(file, x.Range), x.NewText)
		}
		return orElse(said, "nothing to do\n")
	default:
		e.t.Fatalf("unknown: %s", what)
	}
	return ""
}

func orElse(said, none string) string {
	if said == "" {
		return none
	}
	return said
}

// showProblems waits for the diagnostics of what the file is now.
func (e *editor) showProblems(file string) string {
	e.t.Helper()
	uri := e.uri(file)
	for e.version[uri] < e.ver[file] || e.problems[uri] == nil {
		e.receive()
	}
	var list []struct {
		Range    span
		Severity int
		Message  string
	}
	if err := json.Unmarshal(e.problems[uri], &list); err != nil {
		e.t.Fatal(err)
	}
	delete(e.problems, uri)
	var b strings.Builder
	for _, d := range list {
		severity := []string{"", "error", "warning"}[d.Severity]
		fmt.Fprintf(&b, "%s %d:%d at `%s`: %s\n", severity, d.Range.Start.Line+1, d.Range.Start.Character+1, e.slice(file, d.Range), strings.ReplaceAll(d.Message, "\n", " | "))
	}
	return orElse(b.String(), "none\n")
}

// complete shows the first items, as an editor does: those that begin with
// what was typed.
func (e *editor) complete(about map[string]any, typed string) string {
	type item = struct{ Label, Detail, SortText string }
	var list struct{ Items []item }
	said := e.call("textDocument/completion", about, &list)
	list.Items = slices.DeleteFunc(list.Items, func(i item) bool { return !strings.HasPrefix(i.Label, typed) && !strings.Contains(i.Label, "."+typed) })
	slices.SortFunc(list.Items, func(a, b item) int { return strings.Compare(a.SortText, b.SortText) })
	const most = 12
	for i, item := range list.Items {
		if i == most {
			said += fmt.Sprintf("… and %d more\n", len(list.Items)-most)
			break
		}
		said += fmt.Sprintf("%-16s %s\n", item.Label, item.Detail)
	}
	return orElse(said, "nothing\n")
}

func (e *editor) signature(about map[string]any) string {
	var result *struct {
		ActiveParameter int
		Signatures      []struct {
			Label      string
			Parameters []struct {
				Label         string
				Documentation struct{ Value string }
			}
		}
	}
	said := e.call("textDocument/signatureHelp", about, &result)
	if result == nil {
		return said + "none\n"
	}
	s := result.Signatures[0]
	said += s.Label + "\n"
	if result.ActiveParameter < len(s.Parameters) {
		p := s.Parameters[result.ActiveParameter]
		said += "now " + p.Label + ": " + p.Documentation.Value + "\n"
	}
	return said
}
