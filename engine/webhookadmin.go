package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"time"

	"github.com/starling-rules/starling/engine/cert"
	"github.com/starling-rules/starling/engine/config"
	"github.com/starling-rules/starling/engine/ingress"
	"github.com/starling-rules/starling/engine/rules"
)

// Operator answers operators from the running engine.
func (e *Engine) Operator() *Operator {
	op := &Operator{
		Store: e.store, Now: e.o.Now, Breaker: e.breaker, Slack: e.slack, Teams: e.o.Config.Teams,
		Set:     func(context.Context) (*rules.Set, error) { return e.loader.Current(), nil },
		Hits:    func(rule string) ingress.Seen { return e.hits.of(rule).Seen() },
		Secrets: func() []string { return e.config().SecretValues() },
		Config:  e.o.Config, Installs: e.installs, Revoke: e.Revoke,
	}
	if e.disp != nil { // while the engine is put together, there is none
		op.Waiting, op.Restart = e.disp.Waiting(), e.disp.Restart
	}
	return op
}

// CertificateRequest is for whom a certificate is made.
type CertificateRequest struct {
	// Hosts are names and addresses; none: this machine alone.
	Hosts []string `json:"hosts,omitempty"`
	// Days is how long it is valid; 0 is a year.
	Days int `json:"days,omitempty"`
	// Force replaces files that are there.
	Force bool `json:"force,omitempty"`
}

// CertificateReport is the certificate that was made.
type CertificateReport struct {
	Cert        string    `json:"cert"`
	Key         string    `json:"key"`
	Hosts       []string  `json:"hosts"`
	NotAfter    time.Time `json:"not_after"`
	Fingerprint string    `json:"sha256"`
	// Served says that the server takes it up by itself; else Config is what
	// to put into the configuration.
	Served bool   `json:"served"`
	Config string `json:"config,omitempty"`
}

// GenerateCertificate makes a self-signed certificate where the configuration
// says that it is, else below the data directory. Whoever asks chooses neither
// file nor directory.
func (e *Engine) GenerateCertificate(_ context.Context, r CertificateRequest) (*CertificateReport, error) {
	c := e.o.Config
	certFile, keyFile, err := certificateFiles(c)
	if err != nil {
		return nil, err
	}
	pair, err := cert.Generate(cert.Options{Hosts: r.Hosts, Life: time.Duration(r.Days) * 24 * time.Hour, Now: e.o.Now()})
	if err != nil {
		return nil, err
	}
	if err := pair.Write(certFile, keyFile, r.Force); err != nil {
		return nil, err
	}
	e.log.Info("certificate is made", "cert", certFile, "hosts", pair.Hosts, "not_after", pair.NotAfter, "sha256", pair.Fingerprint)
	rep := &CertificateReport{
		Cert: certFile, Key: keyFile, Hosts: pair.Hosts, NotAfter: pair.NotAfter, Fingerprint: pair.Fingerprint, Served: c.TLS.Cert != "",
	}
	if !rep.Served {
		rep.Config = fmt.Sprintf("tls: {cert: %s, key: %s}", certFile, keyFile)
	}
	return rep, nil
}

// certificateFiles are where a certificate that is made for the server goes.
func certificateFiles(c *config.Config) (certFile, keyFile string, err error) {
	switch {
	case c.TLS.Cert != "":
		return c.TLS.Cert, c.TLS.Key, nil
	case c.Data == "":
		return "", "", errors.New("neither tls.cert nor a data directory is configured: there is nowhere to put it")
	}
	dir := filepath.Join(c.Data, "tls")
	return filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), nil
}

// mountWebhooks adds what operators do with webhooks and certificates.
func (e *Engine) mountWebhooks(op *Operator) {
	e.admin.Handle(http.MethodGet, "/webhooks", func(ctx context.Context, _ *ingress.AdminRequest) ingress.AdminResponse {
		return reply(op.Webhooks(ctx))
	})
	e.admin.Handle(http.MethodPost, "/webhooks/test", posted(e.TestWebhook))
	e.admin.Handle(http.MethodPost, "/certificate", posted(e.GenerateCertificate))
}

// posted makes a handler of a function whose argument is the body, as JSON.
// What it complains of is the caller's doing: 400.
func posted[In, Out any](f func(context.Context, In) (Out, error)) ingress.AdminHandler {
	return func(ctx context.Context, r *ingress.AdminRequest) ingress.AdminResponse {
		var in In
		if len(r.Body) > 0 {
			if err := json.Unmarshal(r.Body, &in); err != nil {
				return ingress.Problem(http.StatusBadRequest, "body is not what is wanted: "+err.Error())
			}
		}
		out, err := f(ctx, in)
		if err != nil {
			return ingress.Problem(http.StatusBadRequest, err.Error())
		}
		return ingress.JSON(http.StatusOK, out)
	}
}
