// Package lsp is the language server: what editors ask about scripts, answered
// from the declarations of the built-ins and from what checks find.
//
//	Run        serves one client over a pair of streams until it leaves
//	Options    what the server knows: built-ins, checks, Slack's methods
//	document   a version of an open file, with positions both ways
//	site       what stands at a place in a file: the call, the argument, the name
//
// A client's message goes from stream through server.handle to the method that
// answers it, one at a time; only checks run beside, a moment after the last
// change. Files are read where a definition leads out of the open ones.
//
// It knows no interpreter: scripts under the cursor are broken most of the
// time, so it looks at tokens and leaves judgement to the checks.
package lsp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"go.lsp.dev/jsonrpc2"
	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/runtime"
)

// Options say what a server knows. Library is required.
type Options struct {
	// Library are the built-ins of rules, TestLibrary those of tests (nil: the same).
	Library, TestLibrary *runtime.Library
	// Methods are the names of Slack's Web API methods.
	Methods []string
	// Open is called once the client has named the directory of its project,
	// "" if it has none. It may be nil: then nothing is checked.
	Open func(root string) (*Project, error)
	// Format lays out a .star file.
	Format func(path string, text []byte) ([]byte, error)
	// Quiet is how long after a change checks wait for the next one; 0 means 150 ms.
	Quiet   time.Duration
	Version string
	Logger  *slog.Logger
}

// Project is a directory of rules that a client works in.
type Project struct {
	// Rules are the directories with rules, absolute.
	Rules []string
	// Check finds the problems of one file as it is in the editor.
	Check func(ctx context.Context, path string, text []byte) []*runtime.Error
	Close func()
}

// ErrNoShutdown is returned by Run if the client left without taking leave.
var ErrNoShutdown = errors.New("the client left without shutdown")

// Run serves the client that writes to in and reads from out. It returns nil
// after shutdown and exit.
func Run(ctx context.Context, in io.Reader, out io.Writer, o Options) error {
	if o.TestLibrary == nil {
		o.TestLibrary = o.Library
	}
	if o.Quiet == 0 {
		o.Quiet = 150 * time.Millisecond
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &server{o: o, docs: map[string]*document{}, checks: map[string]context.CancelFunc{}, leave: cancel, project: &Project{}}
	s.conn = jsonrpc2.NewConn(newStream(in, out))
	s.conn.Go(ctx, s.handle)
	select {
	case <-s.conn.Done():
	case <-ctx.Done():
		// The goroutine that reads may be waiting for input that never comes;
		// it ends with the process.
	}
	cancel()
	s.running.Wait()
	if s.project.Close != nil {
		s.project.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.shutdown {
		return ErrNoShutdown
	}
	return nil
}

// server is one session.
type server struct {
	o     Options
	conn  jsonrpc2.Conn
	leave context.CancelFunc

	mu          sync.Mutex
	docs        map[string]*document
	checks      map[string]context.CancelFunc // checks under way or about to be, by URI
	project     *Project
	initialized bool
	shutdown    bool
	running     sync.WaitGroup
}

// errNotInitialized answers a request before initialize.
var errNotInitialized = jsonrpc2.NewError(-32002, "the first request must be initialize")

// handle answers one message. A failure of ours is an answer too.
func (s *server) handle(ctx context.Context, reply jsonrpc2.Replier, req jsonrpc2.Request) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("a request failed", "method", req.Method(), "panic", p, "stack", string(debug.Stack()))
			err = reply(ctx, nil, jsonrpc2.Errorf(jsonrpc2.InternalError, "%s failed", req.Method()))
		}
	}()
	result, err := s.answer(ctx, req)
	var rpc *jsonrpc2.Error
	if err != nil && !errors.As(err, &rpc) {
		err = jsonrpc2.Errorf(jsonrpc2.InvalidParams, "%s: %v", req.Method(), err)
	}
	return reply(ctx, result, err)
}

// route is the handler of one method, from its parameters to its result.
type route func(ctx context.Context, s *server, params json.RawMessage) (any, error)

// on makes a route of a handler with typed parameters.
func on[P any](f func(*server, context.Context, *P) (any, error)) route {
	return func(ctx context.Context, s *server, raw json.RawMessage) (any, error) {
		var p P
		if len(raw) > 0 {
			if err := json.Unmarshal(raw, &p); err != nil {
				return nil, fmt.Errorf("read parameters: %w", err)
			}
		}
		return f(s, ctx, &p)
	}
}

var routes = map[string]route{
	"initialize":                       on((*server).initialize),
	"shutdown":                         on((*server).stop),
	"exit":                             on((*server).exit),
	"textDocument/didOpen":             on((*server).didOpen),
	"textDocument/didChange":           on((*server).didChange),
	"textDocument/didSave":             on((*server).didSave),
	"textDocument/didClose":            on((*server).didClose),
	"workspace/didChangeWatchedFiles":  on((*server).didChangeFiles),
	"textDocument/completion":          on((*server).completion),
	"textDocument/hover":               on((*server).hover),
	"textDocument/signatureHelp":       on((*server).signatureHelp),
	"textDocument/definition":          on((*server).definition),
	"textDocument/documentSymbol":      on((*server).documentSymbol),
	"textDocument/formatting":          on((*server).formatting),
	"initialized":                      on((*server).ignore),
	"workspace/didChangeConfiguration": on((*server).ignore),
}

func (s *server) answer(ctx context.Context, req jsonrpc2.Request) (any, error) {
	method := req.Method()
	s.mu.Lock()
	initialized, shutdown := s.initialized, s.shutdown
	s.mu.Unlock()
	_, isCall := req.(*jsonrpc2.Call)
	switch {
	case !initialized && method != "initialize" && method != "exit":
		if isCall {
			return nil, errNotInitialized
		}
		return nil, nil
	case shutdown && method != "exit":
		return nil, jsonrpc2.Errorf(jsonrpc2.InvalidRequest, "%s after shutdown", method)
	}
	r := routes[method]
	if r == nil {
		return nil, jsonrpc2.Errorf(jsonrpc2.MethodNotFound, "no method %s", method)
	}
	return r(ctx, s, req.Params())
}

func (s *server) ignore(context.Context, *struct{}) (any, error) { return nil, nil }

// initializeParams is what is read of a client's introduction.
type initializeParams struct {
	RootURI          string `json:"rootUri"`
	WorkspaceFolders []struct {
		URI string `json:"uri"`
	} `json:"workspaceFolders"`
}

func (s *server) initialize(_ context.Context, p *initializeParams) (any, error) {
	root := pathOf(p.RootURI)
	if len(p.WorkspaceFolders) > 0 {
		root = pathOf(p.WorkspaceFolders[0].URI)
	}
	s.mu.Lock()
	again := s.initialized
	s.initialized = true
	s.mu.Unlock()
	if again {
		return nil, jsonrpc2.Errorf(jsonrpc2.InvalidRequest, "initialize came twice")
	}
	if s.o.Open != nil {
		project, err := s.o.Open(root)
		if err != nil {
			// An editor without checks is better than none; the file with the
			// fault can be opened in it.
			s.o.Logger.Error("open project", "root", root, "err", err)
		} else {
			s.mu.Lock()
			s.project = project
			s.mu.Unlock()
		}
	}
	return protocol.InitializeResult{
		Capabilities: protocol.ServerCapabilities{
			TextDocumentSync: protocol.TextDocumentSyncOptions{
				OpenClose: true, Change: protocol.TextDocumentSyncKindIncremental, Save: &protocol.SaveOptions{},
			},
			CompletionProvider:         &protocol.CompletionOptions{TriggerCharacters: []string{".", "\"", "'", "(", ",", "{"}},
			SignatureHelpProvider:      &protocol.SignatureHelpOptions{TriggerCharacters: []string{"(", ","}},
			HoverProvider:              true,
			DefinitionProvider:         true,
			DocumentSymbolProvider:     true,
			DocumentFormattingProvider: s.o.Format != nil,
		},
		ServerInfo: &protocol.ServerInfo{Name: "starling", Version: s.o.Version},
	}, nil
}

func (s *server) stop(context.Context, *struct{}) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shutdown = true
	return nil, nil
}

func (s *server) exit(context.Context, *struct{}) (any, error) {
	s.leave()
	return nil, nil
}

// at is where a request is about.
type at struct {
	TextDocument struct {
		URI string `json:"uri"`
	} `json:"textDocument"`
	Position protocol.Position `json:"position"`
}

// open returns an open document.
func (s *server) open(uri string) (*document, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.docs[uri]; d != nil {
		return d, nil
	}
	return nil, fmt.Errorf("%s is not open", uri)
}

// library are the built-ins that a document can use.
func (s *server) library(d *document) *runtime.Library {
	if d.test() {
		return s.o.TestLibrary
	}
	return s.o.Library
}
