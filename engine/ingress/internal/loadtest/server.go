package loadtest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Server is a starling serve as its users run it: a process of its own, on
// loopback, with its durable store. It is for one goroutine at a time.
type Server struct {
	// Binary is the program; Dir gets its rules, configuration and data.
	Binary, Dir string
	// Rule is the text of its one rule file, Config of its configuration.
	Rule, Config string
	// Secret is the signing secret, SlackURL the address of Slack's Web API.
	Secret, SlackURL string
	// Addr takes requests, Admin is of the operator: set by the first Start.
	Addr, Admin string

	cmd *exec.Cmd
	log bytes.Buffer
}

// Start starts the server and waits until it is ready. After Kill or Stop it
// starts again, with the addresses and the data of before.
func (s *Server) Start() (took time.Duration, err error) {
	rules, config := filepath.Join(s.Dir, "rules"), filepath.Join(s.Dir, "starling.yaml")
	if s.Addr == "" {
		if err := s.lay(rules, config); err != nil {
			return 0, err
		}
	}
	s.log.Reset()
	s.cmd = exec.Command(s.Binary, "serve", "--config", config, "--rules", rules, "--data", s.Data(), "--listen", s.Addr, "--admin", s.Admin)
	s.cmd.Env = append(os.Environ(), "SLACK_SIGNING_SECRET="+s.Secret, "SLACK_BOT_TOKEN=xoxb-"+s.Secret, "SLACK_API_URL="+s.SlackURL)
	s.cmd.Stderr = &s.log
	began := time.Now()
	if err := s.cmd.Start(); err != nil {
		return 0, err
	}
	for deadline := began.Add(2 * time.Minute); ; time.Sleep(5 * time.Millisecond) {
		status, _, err := s.Get("/readyz")
		if err == nil && status == http.StatusOK {
			return time.Since(began), nil
		}
		if time.Now().After(deadline) {
			s.Kill()
			return 0, fmt.Errorf("server is not ready: status %d, %w\n%s", status, err, s.Log())
		}
	}
}

// lay puts down the files, and finds addresses that are free.
func (s *Server) lay(rules, config string) (err error) {
	if err := os.MkdirAll(rules, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(rules, "bench.star"), []byte(s.Rule), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(config, []byte(s.Config), 0o644); err != nil {
		return err
	}
	if s.Admin, err = freeAddress(); err != nil {
		return err
	}
	s.Addr, err = freeAddress()
	return err
}

func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return ln.Addr().String(), ln.Close()
}

// Data is the directory of the store.
func (s *Server) Data() string { return filepath.Join(s.Dir, "data") }

// Log is what the server has logged since it was started. Only for one that has
// ended, or is about to be given up.
func (s *Server) Log() string { return strings.TrimSpace(s.log.String()) }

// Process is that of the server.
func (s *Server) Process() Process { return Process(s.cmd.Process.Pid) }

// Stop has the server stop in good order and waits for it.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// Kill ends the server at once, as a crash does. One that has ended stays so.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
	}
}

// Gauge is a figure of the server's metrics, by its name with labels.
func (s *Server) Gauge(name string) (float64, error) {
	_, text, err := s.Get("/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("the server has no metric %s", name)
}

// Get asks the operator's port, and returns the answer.
func (s *Server) Get(path string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.Admin+path, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b), err
}
