package lsp_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/starling-rules/starling/cmd/starling/internal/lsp"
	"github.com/starling-rules/starling/runtime"
	"github.com/starling-rules/starling/stdlib"
)

// client speaks with a server in this process.
type client struct {
	t   *testing.T
	in  *io.PipeWriter
	out *io.PipeReader
	err chan error
}

func start(t *testing.T, check func(context.Context, string, []byte) []*runtime.Error) *client {
	t.Helper()
	lib, err := stdlib.Library()
	if err != nil {
		t.Fatal(err)
	}
	serverIn, in := io.Pipe()
	out, serverOut := io.Pipe()
	c := &client{t: t, in: in, out: out, err: make(chan error, 1)}
	go func() {
		err := lsp.Run(t.Context(), serverIn, serverOut, lsp.Options{
			Library: lib, Quiet: 10 * time.Millisecond,
			Open: func(string) (*lsp.Project, error) { return &lsp.Project{Check: check}, nil },
		})
		_ = serverOut.Close()
		c.err <- err
	}()
	t.Cleanup(func() {
		_ = in.Close()
		_, _ = io.Copy(io.Discard, out)
	})
	return c
}

func (c *client) send(method string, id int, params any) {
	c.t.Helper()
	msg := map[string]any{"jsonrpc": "2.0", "method": method, "params": params}
	if id > 0 {
		msg["id"] = id
	}
	body, err := json.Marshal(msg)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.in, "Content-Length: %d\r\n\r\n%s", len(body), body); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads one message.
func (c *client) receive() map[string]any {
	c.t.Helper()
	var n int
	if _, err := fmt.Fscanf(c.out, "Content-Length: %d\r\n\r\n", &n); err != nil {
		c.t.Fatal(err)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(c.out, body); err != nil {
		c.t.Fatal(err)
	}
	var msg map[string]any
	if err := json.Unmarshal(body, &msg); err != nil {
		c.t.Fatal(err)
	}
	return msg
}

func (c *client) begin() {
	c.t.Helper()
	c.send("initialize", 1, map[string]any{"rootUri": nil})
	if msg := c.receive(); msg["result"] == nil {
		c.t.Fatalf("initialize: %v", msg)
	}
}

func (c *client) end() error {
	c.t.Helper()
	c.send("shutdown", 99, nil)
	for msg := c.receive(); msg["id"] != 99.0; msg = c.receive() {
	}
	c.send("exit", 0, nil)
	return <-c.err
}

const file = "file:///p/rules/a.star"

func open(text string, version int) map[string]any {
	return map[string]any{"textDocument": map[string]any{"uri": file, "version": version, "text": text}}
}

func TestChecksGiveWayToTheNextChange(t *testing.T) {
	t.Parallel()
	begun, givenUp := make(chan string, 10), make(chan struct{})
	c := start(t, func(ctx context.Context, path string, text []byte) []*runtime.Error {
		begun <- string(text)
		if string(text) == "slow" {
			<-ctx.Done()
			close(givenUp)
		}
		return []*runtime.Error{{Kind: runtime.LintError, Msg: "saw " + string(text), Hint: "a hint", Pos: runtime.Position{Path: path, Line: 1, Col: 1}}}
	})
	c.begin()
	c.send("textDocument/didOpen", 0, open("slow", 1))
	if got := <-begun; got != "slow" {
		t.Fatalf("checked %q", got)
	}
	c.send("textDocument/didChange", 0, map[string]any{
		"textDocument": map[string]any{"uri": file, "version": 2}, "contentChanges": []any{map[string]any{"text": "fast"}},
	})
	msg := c.receive()
	text := fmt.Sprint(msg["params"])
	if msg["method"] != "textDocument/publishDiagnostics" || !strings.Contains(text, "saw fast\na hint") || strings.Contains(text, "slow") || !strings.Contains(text, "severity:2") {
		t.Fatalf("got %v", msg)
	}
	select {
	case <-givenUp:
	case <-time.After(20 * time.Second):
		t.Fatal("the check of the version before goes on")
	}
	if err := c.end(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailingCheckIsAProblemAndNotTheEnd(t *testing.T) {
	t.Parallel()
	c := start(t, func(context.Context, string, []byte) []*runtime.Error { panic("oh") })
	c.begin()
	c.send("textDocument/didOpen", 0, open("x", 1))
	if msg := c.receive(); !strings.Contains(fmt.Sprint(msg), "the check of this file failed: oh") {
		t.Fatalf("got %v", msg)
	}
	c.send("textDocument/didClose", 0, map[string]any{"textDocument": map[string]any{"uri": file}})
	if msg := c.receive(); !strings.Contains(fmt.Sprint(msg), "diagnostics:[]") {
		t.Fatalf("after close: %v", msg)
	}
	if err := c.end(); err != nil {
		t.Fatal(err)
	}
}

func TestOrderOfASession(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.send("textDocument/hover", 1, map[string]any{})
	if msg := c.receive(); !strings.Contains(fmt.Sprint(msg["error"]), "code:-32002") {
		t.Fatalf("before initialize: %v", msg)
	}
	c.begin()
	c.send("initialize", 2, map[string]any{})
	if msg := c.receive(); !strings.Contains(fmt.Sprint(msg["error"]), "twice") {
		t.Fatalf("a second initialize: %v", msg)
	}
	c.send("shutdown", 3, nil)
	if msg := c.receive(); msg["error"] != nil {
		t.Fatalf("shutdown: %v", msg)
	}
	c.send("textDocument/hover", 4, map[string]any{})
	if msg := c.receive(); !strings.Contains(fmt.Sprint(msg["error"]), "after shutdown") {
		t.Fatalf("after shutdown: %v", msg)
	}
	c.send("exit", 0, nil)
	if err := <-c.err; err != nil {
		t.Fatal(err)
	}
}

func TestAClientThatGoesAwayIsTold(t *testing.T) {
	t.Parallel()
	c := start(t, nil)
	c.begin()
	_ = c.in.Close()
	if err := <-c.err; !errors.Is(err, lsp.ErrNoShutdown) {
		t.Fatalf("got %v", err)
	}
}

// Whatever comes in, the server ends in good order when the input does.
func FuzzInput(f *testing.F) {
	lib, err := stdlib.Library()
	if err != nil {
		f.Fatal(err)
	}
	frame := func(bodies ...string) string {
		var b strings.Builder
		for _, body := range bodies {
			fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
		}
		return b.String()
	}
	const begin = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}`
	f.Add(frame(begin, `{"jsonrpc":"2.0","id":{},"method":"x"}`, `[]`, `null`, `{"id":1,"result":5}`))
	f.Add("Content-Length: 99999999999\r\n\r\nx" + frame(begin))
	f.Add(frame(begin, `{"jsonrpc":"2.0","method":"textDocument/didOpen","params":{"textDocument":{"uri":"file:///a.star","text":"on.message(","version":-5}}}`,
		`{"jsonrpc":"2.0","id":"2","method":"textDocument/completion","params":{"textDocument":{"uri":"file:///a.star"},"position":{"line":0,"character":11}}}`))
	f.Fuzz(func(t *testing.T, input string) {
		err := lsp.Run(t.Context(), strings.NewReader(input), io.Discard, lsp.Options{Library: lib})
		if err != nil && !errors.Is(err, lsp.ErrNoShutdown) {
			t.Fatal(err)
		}
	})
}
