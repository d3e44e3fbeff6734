package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"syscall"
)

// classify names a network error in a word, with a detail that holds no URL.
func classify(err error) (code, detail string) {
	var (
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		timeout   net.Error
	)
	switch {
	case errors.Is(err, errAddress):
		return "address_refused", refusal(err)
	case errors.Is(err, errRedirects):
		return "too_many_redirects", ""
	case errors.Is(err, errDowngrade), errors.Is(err, errCarry), errors.Is(err, errHosts):
		return "redirect_refused", err.Error()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return "timeout", ""
	case errors.As(err, &dns):
		if dns.IsNotFound {
			return "dns_not_found", ""
		}
		return "dns_error", ""
	case errors.As(err, &verify), errors.As(err, &authority), errors.As(err, &hostname), errors.As(err, &invalid), errors.As(err, &record):
		return "tls_error", "the certificate or the handshake is not valid"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection_refused", ""
	}
	return "connection_failed", ""
}

// refusal is the reason inside a chain of errors about addresses.
func refusal(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil || inner == errAddress {
			return err.Error()
		}
		err = inner
	}
}
