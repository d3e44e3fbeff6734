package lsp

import (
	"context"
	"fmt"
	"time"
	"unicode/utf8"

	"go.lsp.dev/protocol"

	"github.com/starling-rules/starling/runtime"
)

type openParams struct {
	TextDocument struct {
		URI     string `json:"uri"`
		Version int32  `json:"version"`
		Text    string `json:"text"`
	} `json:"textDocument"`
}

func (s *server) didOpen(ctx context.Context, p *openParams) (any, error) {
	s.put(ctx, newDocument(p.TextDocument.URI, p.TextDocument.Version, p.TextDocument.Text))
	return nil, nil
}

type changeParams struct {
	TextDocument struct {
		URI     string `json:"uri"`
		Version int32  `json:"version"`
	} `json:"textDocument"`
	ContentChanges []change `json:"contentChanges"`
}

func (s *server) didChange(ctx context.Context, p *changeParams) (any, error) {
	d, err := s.open(p.TextDocument.URI)
	if err != nil {
		return nil, err
	}
	s.put(ctx, d.apply(p.TextDocument.Version, p.ContentChanges))
	return nil, nil
}

// didSave checks every open file again: what one says may have broken another.
func (s *server) didSave(ctx context.Context, _ *struct{}) (any, error) {
	s.mu.Lock()
	docs := make([]*document, 0, len(s.docs))
	for _, d := range s.docs {
		docs = append(docs, d)
	}
	s.mu.Unlock()
	for _, d := range docs {
		s.checkSoon(ctx, d)
	}
	return nil, nil
}

func (s *server) didChangeFiles(ctx context.Context, p *struct{}) (any, error) {
	return s.didSave(ctx, p)
}

func (s *server) didClose(ctx context.Context, p *at) (any, error) {
	uri := p.TextDocument.URI
	s.mu.Lock()
	delete(s.docs, uri)
	if cancel := s.checks[uri]; cancel != nil {
		cancel()
		delete(s.checks, uri)
	}
	s.mu.Unlock()
	s.publish(ctx, &document{uri: uri}, nil)
	return nil, nil
}

// put makes d the current version of its file.
func (s *server) put(ctx context.Context, d *document) {
	s.mu.Lock()
	s.docs[d.uri] = d
	s.mu.Unlock()
	s.checkSoon(ctx, d)
}

// checkSoon checks d once no further change has come for a moment. A check
// that is under way for the version before is given up.
func (s *server) checkSoon(ctx context.Context, d *document) {
	s.mu.Lock()
	defer s.mu.Unlock()
	check := s.project.Check
	if check == nil || d.path == "" {
		return
	}
	if cancel := s.checks[d.uri]; cancel != nil {
		cancel()
	}
	ctx, cancel := context.WithCancel(ctx)
	s.checks[d.uri] = cancel
	s.running.Go(func() {
		defer cancel()
		select {
		case <-time.After(s.o.Quiet):
		case <-ctx.Done():
			return
		}
		problems := s.problems(ctx, d, check)
		if ctx.Err() == nil {
			s.publish(ctx, d, problems)
		}
	})
}

// problems calls the check; a panic in it is a problem of its own.
func (s *server) problems(ctx context.Context, d *document, check func(context.Context, string, []byte) []*runtime.Error) (out []*runtime.Error) {
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("a check failed", "file", d.path, "panic", p)
			out = []*runtime.Error{{Kind: runtime.InternalError, Msg: fmt.Sprintf("the check of this file failed: %v", p)}}
		}
	}()
	return check(ctx, d.path, []byte(d.text))
}

// publish shows problems in the editor, in place of those before.
func (s *server) publish(ctx context.Context, d *document, problems []*runtime.Error) {
	list := make([]protocol.Diagnostic, 0, len(problems))
	for _, e := range problems {
		list = append(list, d.diagnostic(e))
	}
	_ = s.conn.Notify(ctx, "textDocument/publishDiagnostics", protocol.PublishDiagnosticsParams{
		URI: protocol.DocumentURI(d.uri), Version: uint32(max(0, d.version)), Diagnostics: list,
	})
}

// diagnostic is a problem as editors show it: at the word that it points to.
func (d *document) diagnostic(e *runtime.Error) protocol.Diagnostic {
	severity := protocol.DiagnosticSeverityError
	if e.Kind == runtime.LintError {
		severity = protocol.DiagnosticSeverityWarning
	}
	msg := e.Msg
	if e.Hint != "" {
		msg += "\n" + e.Hint
	}
	start := d.place(e.Pos)
	end := d.wordEnd(start)
	if e.Pos.Col == 0 { // the line
		end = d.lineEnd(int(d.position(start).Line))
	}
	return protocol.Diagnostic{Range: d.span(start, end), Severity: severity, Code: string(e.Kind), Source: "starling", Message: msg}
}

// wordEnd is where the token at a place ends, within its line.
func (d *document) wordEnd(at int) int {
	line := d.lineEnd(int(d.position(at).Line))
	for _, t := range d.tokens {
		if t.Start <= at && at < t.End {
			return min(t.End, line)
		}
	}
	if at < line {
		_, n := utf8.DecodeRuneInString(d.text[at:])
		return at + n
	}
	return at
}
