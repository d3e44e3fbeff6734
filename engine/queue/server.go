package queue

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// link is the connection to the server, embedded or not. An embedded server can
// be started anew behind it.
type link struct {
	dir     string // of the embedded server; empty: external
	url     string
	options *server.Options
	logger  *slog.Logger

	mu  sync.RWMutex
	nc  *nats.Conn
	js  jetstream.JetStream
	srv *server.Server
}

// maxPayload of the embedded server, in bytes.
const maxPayload = 8 << 20

func embedded(dir string, syncAlways bool, maxStore int64, logger *slog.Logger) *link {
	return &link{dir: dir, logger: logger, options: &server.Options{
		ServerName: "starling", DontListen: true, NoSigs: true, DisableJetStreamBanner: true,
		JetStream: true, StoreDir: dir, SyncAlways: syncAlways, SyncInterval: 10 * time.Second,
		JetStreamMaxStore: maxStore, JetStreamMaxMemory: 64 << 20,
		MaxPayload: maxPayload, MaxPending: 256 << 20,
	}}
}

// start starts the embedded server, if it is one, and connects.
func (l *link) start() error {
	var options []nats.Option
	url := l.url
	var srv *server.Server
	if l.dir != "" {
		var err error
		// The server changes what it is given.
		srv, err = server.NewServer(l.options.Clone())
		if err != nil {
			return fmt.Errorf("make embedded server: %w", err)
		}
		srv.SetLoggerV2(&serverLog{l.logger}, false, false, false)
		srv.Start()
		if !srv.ReadyForConnections(30 * time.Second) {
			srv.Shutdown()
			return errors.New("start embedded server: not ready within 30 s")
		}
		if !srv.JetStreamEnabled() {
			srv.Shutdown()
			return errors.New("start embedded server: JetStream did not start, see the log")
		}
		options = append(options, nats.InProcessServer(srv))
	}
	options = append(options,
		nats.Name("starling"), nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.ReconnectJitter(50*time.Millisecond, 100*time.Millisecond), nats.ReconnectBufSize(-1),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.logger.Warn("NATS connection", "error", err)
		}),
	)
	nc, err := nats.Connect(url, options...)
	if err != nil {
		if srv != nil {
			srv.Shutdown()
		}
		return fmt.Errorf("connect to NATS: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		if srv != nil {
			srv.Shutdown()
		}
		return fmt.Errorf("connect to NATS: %w", err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.nc, l.js, l.srv = nc, js, srv
	return nil
}

// stop ends the connection and the embedded server.
func (l *link) stop() {
	l.mu.Lock()
	nc, srv := l.nc, l.srv
	l.mu.Unlock()
	if nc != nil {
		nc.Close()
	}
	if srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

func (l *link) conn() *nats.Conn {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.nc
}

func (l *link) jet() jetstream.JetStream {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.js
}

// health is what the embedded server says of its streams.
func (l *link) health() error {
	l.mu.RLock()
	srv := l.srv
	l.mu.RUnlock()
	if srv == nil {
		return nil
	}
	if h := srv.Healthz(&server.HealthzOptions{}); h.StatusCode >= 400 {
		return fmt.Errorf("embedded store: %s: %w", h.Error, ErrUnavailable)
	}
	return nil
}

// serverLog gives the server's log lines to slog. Its notices are the story of
// its start, of no use to an operator of Starling.
type serverLog struct{ log *slog.Logger }

func (s *serverLog) Noticef(f string, v ...any) { s.log.Debug("NATS: " + fmt.Sprintf(f, v...)) }
func (s *serverLog) Warnf(f string, v ...any)   { s.log.Warn("NATS: " + fmt.Sprintf(f, v...)) }
func (s *serverLog) Fatalf(f string, v ...any)  { s.log.Error("NATS: " + fmt.Sprintf(f, v...)) }
func (s *serverLog) Errorf(f string, v ...any)  { s.log.Error("NATS: " + fmt.Sprintf(f, v...)) }
func (s *serverLog) Debugf(string, ...any)      {}
func (s *serverLog) Tracef(string, ...any)      {}
