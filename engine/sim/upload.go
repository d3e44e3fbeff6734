package sim

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"unicode/utf8"
)

// file is one that the app uploads: first a place, then its content, then, when
// it is completed, a message.
type file struct {
	id, name, title string
	length          int
	content         []byte
	sent            bool
	channel         string
}

// maxFiles bounds what the local Slack keeps.
const maxFiles = 200

func filesGetUploadURL(c *call) (Block, error) {
	name := c.str("filename")
	length, err := c.num("length", 0, 0, maxBody)
	switch {
	case err != nil:
		return nil, err
	case name == "" || length == 0:
		return nil, Code("invalid_arguments")
	case len(c.w.files) >= maxFiles:
		return nil, Code("storage_limit_reached")
	}
	f := &file{id: fmt.Sprintf("F0FILE%d", len(c.w.files)+1), name: name, title: name, length: length}
	c.w.files = append(c.w.files, f)
	return Block{"upload_url": c.s.URL() + "/upload/" + f.id, "file_id": f.id}, nil
}

func filesComplete(c *call) (Block, error) {
	list, err := c.objects("files")
	if err != nil || len(list) == 0 {
		return nil, Code("invalid_arguments")
	}
	ch := c.w.address(c.str("channel_id"), c.user)
	switch {
	case ch == nil:
		return nil, Code("channel_not_found")
	case !ch.has(c.user):
		return nil, Code("not_in_channel")
	}
	var shared []*file
	var out []Block
	for _, entry := range list {
		f := c.w.file(text(entry["id"]))
		if f == nil || !f.sent || f.channel != "" {
			return nil, Code("file_not_found")
		}
		if title := text(entry["title"]); title != "" {
			f.title = title
		}
		shared = append(shared, f)
		out = append(out, Block{"id": f.id, "title": f.title})
	}
	m := Message{User: c.user, BotID: c.w.app.BotID, AppID: c.w.app.ID, ThreadTS: c.str("thread_ts"), Text: c.s.fileText(c.str("initial_comment"), shared)}
	if _, err := c.w.post(ch, m); err != nil {
		return nil, err
	}
	for _, f := range shared {
		f.channel = ch.ID
	}
	return Block{"files": out}, nil
}

func (w *World) file(id string) *file {
	for _, f := range w.files {
		if f.id == id {
			return f
		}
	}
	return nil
}

// serveUpload takes the content of a file.
func (s *Server) serveUpload(w http.ResponseWriter, r *http.Request) {
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	f := s.world.file(r.PathValue("id"))
	status, said := http.StatusOK, ""
	switch {
	case err != nil:
		status, said = http.StatusRequestEntityTooLarge, "too large"
	case f == nil:
		status, said = http.StatusNotFound, "no such upload"
	case len(content) != f.length:
		status, said = http.StatusBadRequest, "length is not as announced"
	default:
		f.content, f.sent = content, true
	}
	s.record(Call{
		Verb: r.Method, Via: "body", Method: "upload", Args: Block{"file": r.PathValue("id"), "bytes": len(content)},
		Status: status, OK: said == "", Error: said, At: s.now(),
	})
	if said != "" {
		http.Error(w, said, status)
		return
	}
	fmt.Fprintf(w, "OK - %d", len(content))
}

// serveFile shows a file, as text or as something to save: nothing in it runs.
func (s *Server) serveFile(w http.ResponseWriter, r *http.Request) {
	s.world.mu.Lock()
	f := s.world.file(r.PathValue("id"))
	s.world.mu.Unlock()
	if f == nil || f.channel == "" {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; sandbox")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if !utf8.Valid(f.content) {
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Disposition", "attachment")
	}
	_, _ = w.Write(f.content)
}

// fileText is how a message shows its files.
func (s *Server) fileText(comment string, files []*file) string {
	lines := []string{}
	if comment != "" {
		lines = append(lines, comment)
	}
	for _, f := range files {
		title := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "|", " ").Replace(f.title)
		lines = append(lines, fmt.Sprintf("<%s/files/%s|%s> (%d bytes)", s.URL(), f.id, title, f.length))
	}
	return strings.Join(lines, "\n")
}
