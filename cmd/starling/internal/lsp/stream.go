package lsp

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.lsp.dev/jsonrpc2"
)

// Bounds of what a client may send.
const (
	maxMessage = 64 << 20 // bytes of one message
	maxHeader  = 8 << 10  // bytes of one header line
)

// stream frames messages as LSP does. Unlike jsonrpc2's own stream it goes on
// after rubbish: lines that are no header are skipped, a body that is no
// message is answered with an error. Only the end of the input ends it.
type stream struct {
	in  *bufio.Reader
	out io.Writer
}

func newStream(in io.Reader, out io.Writer) *stream {
	return &stream{bufio.NewReaderSize(in, maxHeader), out}
}

// Read implements jsonrpc2.Stream.
func (s *stream) Read(ctx context.Context) (jsonrpc2.Message, int64, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		n, err := s.header()
		if err != nil {
			return nil, 0, err
		}
		if n <= 0 {
			continue
		}
		if n > maxMessage {
			if _, err := io.CopyN(io.Discard, s.in, n); err != nil {
				return nil, 0, err
			}
			s.complain(fmt.Sprintf("a message has %d bytes, at most %d are allowed", n, maxMessage))
			continue
		}
		// As it comes, rather than all at once: the length may be a lie.
		body, err := io.ReadAll(io.LimitReader(s.in, n))
		if err != nil || int64(len(body)) < n {
			return nil, 0, cmp.Or(err, io.ErrUnexpectedEOF)
		}
		msg, err := decode(body)
		if err != nil {
			s.complain(err.Error())
			continue
		}
		return msg, n, nil
	}
}

// decode reads one message. The standard library looks at it first: the
// decoder behind jsonrpc2 trusts its input more than input from outside deserves.
func decode(body []byte) (jsonrpc2.Message, error) {
	if !json.Valid(body) {
		return nil, errors.New("a message is not JSON")
	}
	msg, err := jsonrpc2.DecodeMessage(body)
	if err != nil {
		return nil, fmt.Errorf("a message is no JSON-RPC: %w", err)
	}
	return msg, nil
}

// header reads up to the empty line that ends a header, and returns the length
// of the body; 0 if the header does not tell one.
func (s *stream) header() (int64, error) {
	var length int64
	for begun := false; ; {
		line, err := s.in.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			continue // a line too long to be one of ours
		}
		if err != nil {
			return 0, err
		}
		text := strings.TrimSpace(string(line))
		if text == "" {
			if begun {
				return length, nil
			}
			continue
		}
		name, value, ok := strings.Cut(text, ":")
		if ok && strings.EqualFold(strings.TrimSpace(name), "Content-Length") {
			n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64)
			if err == nil && n > 0 {
				length, begun = n, true
			}
		}
	}
}

// complain tells the client of a message that cannot be answered by its id.
func (s *stream) complain(msg string) {
	body, _ := json.Marshal(map[string]any{
		"jsonrpc": "2.0", "id": nil, "error": map[string]any{"code": jsonrpc2.ParseError, "message": msg},
	})
	_, _ = s.write(body)
}

// Write implements jsonrpc2.Stream.
func (s *stream) Write(_ context.Context, msg jsonrpc2.Message) (int64, error) {
	body, err := json.Marshal(msg)
	if err != nil {
		return 0, fmt.Errorf("encode message: %w", err)
	}
	return s.write(body)
}

func (s *stream) write(body []byte) (int64, error) {
	n, err := s.out.Write(append([]byte("Content-Length: "+strconv.Itoa(len(body))+"\r\n\r\n"), body...))
	return int64(n), err
}

// Close implements jsonrpc2.Stream. Input and output are their owner's.
func (s *stream) Close() error { return nil }
