package loadtest

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Conn is a keep-alive connection to a server, for one request at a time. The
// caller closes it.
type Conn struct {
	net.Conn
	r *bufio.Reader
}

// Dial connects to an address.
func Dial(addr string) (*Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return &Conn{Conn: c, r: bufio.NewReader(c)}, nil
}

// Do sends a request as it stands and reads the answer, within patience.
func (c *Conn) Do(request []byte, patience time.Duration) (status int, body []byte, err error) {
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		return 0, nil, err
	}
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	line, err := c.r.ReadString('\n')
	if err != nil {
		return 0, nil, err
	}
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if code, _, _ := strings.Cut(rest, " "); ok {
		status, err = strconv.Atoi(strings.TrimSpace(code))
	}
	if !ok || err != nil {
		return 0, nil, fmt.Errorf("answer %q", strings.TrimSpace(line))
	}
	length := 0
	for line != "\r\n" {
		if line, err = c.r.ReadString('\n'); err != nil {
			return 0, nil, err
		}
		if name, value, _ := strings.Cut(line, ":"); strings.EqualFold(name, "content-length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	body = make([]byte, length)
	_, err = io.ReadFull(c.r, body)
	return status, body, err
}

// AppendSigned appends a request as Slack sends it, signed with the secret.
func AppendSigned(b []byte, secret, path, contentType string, now time.Time, body []byte) []byte {
	ts := strconv.FormatInt(now.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("v0:" + ts + ":"))
	mac.Write(body)
	b = fmt.Appendf(b, "POST %s HTTP/1.1\r\nHost: bench\r\nContent-Type: %s\r\nUser-Agent: Slackbot 1.0\r\nX-Slack-Request-Timestamp: %s\r\nX-Slack-Signature: v0=%s\r\nContent-Length: %d\r\n\r\n",
		path, contentType, ts, hex.EncodeToString(mac.Sum(nil)), len(body))
	return append(b, body...)
}
