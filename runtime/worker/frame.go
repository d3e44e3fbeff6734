package worker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/starling-rules/starling/runtime"
)

// A frame is the length of its payload (4 bytes, little endian), a type byte
// and the payload. Every frame of the server but hello, forget and slow is a
// request and has exactly one answer, in order, that carries its number; but
// requests that a cancel takes back need not have one.
const (
	frameHello   byte = 'H' // hello: answered by frameReady
	frameLoad    byte = 'L' // limits, bundle: answered by frameManifest, frameErrors or frameRefused
	framePreload byte = 'P' // the same before a run: answered by frameLoaded, frameErrors or frameRefused
	frameRun     byte = 'R' // call: answered by frameReply or frameRefused
	frameForget  byte = 'F' // digest: no answer
	frameSlow    byte = 'N' // nothing: give way to other processes from now on
	frameCancel  byte = 'C' // two numbers: skip the requests after the first up to the second. Answered by frameLoaded

	frameReady    byte = 'r'
	frameManifest byte = 'm'
	frameLoaded   byte = 'l'
	frameErrors   byte = 'e' // the script's own faults
	frameReply    byte = 'p'
	frameRefused  byte = 'x' // text: what is no fault of the script
)

const (
	headLen = 5
	// maxAnswer bounds what a worker may send at once. Nothing that Slack
	// would take comes near.
	maxAnswer = 1 << 20
	// maxRequest bounds what a worker is sent: mostly recorded results.
	maxRequest = 32 << 20
	// protocol is refused by a worker of another build.
	protocol = "starling-worker-2/" + runtime.CompilerVersion
)

// beginFrame appends the head of a frame, endFrame fills in its length.
func beginFrame(b []byte, typ byte) []byte { return append(b, 0, 0, 0, 0, typ) }

func endFrame(b []byte, start int) []byte {
	binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-headLen))
	return b
}

// frameReader cuts a stream into frames.
type frameReader struct {
	src  io.Reader
	max  int
	buf  []byte
	r, w int // buf[r:w] is not consumed
}

func newFrameReader(src io.Reader, limit, buffer int) *frameReader {
	return &frameReader{src: src, max: limit, buf: make([]byte, buffer)}
}

// whole reports whether next has a whole frame without reading.
func (f *frameReader) whole() bool {
	return f.w-f.r >= headLen && uint64(f.w-f.r-headLen) >= uint64(binary.LittleEndian.Uint32(f.buf[f.r:]))
}

// poll reads once from the given source, if there is room.
func (f *frameReader) poll(src io.Reader) {
	f.w = copy(f.buf, f.buf[f.r:f.w])
	f.r = 0
	if f.w < len(f.buf) {
		n, _ := src.Read(f.buf[f.w:])
		f.w += max(n, 0)
	}
}

// find calls f for the whole frames that wait, in order.
func (f *frameReader) find(see func(typ byte, payload []byte)) {
	for at := f.r; f.w-at >= headLen; {
		n := uint64(binary.LittleEndian.Uint32(f.buf[at:]))
		if uint64(f.w-at-headLen) < n {
			return
		}
		end := at + headLen + int(n)
		see(f.buf[at+4], f.buf[at+headLen:end])
		at = end
	}
}

// errFrame marks a frame that breaks the protocol.
var errFrame = errors.New("bad frame")

// next returns the next frame. The payload is the caller's to keep: decoded
// values share its memory.
func (f *frameReader) next() (typ byte, payload []byte, err error) {
	for f.w-f.r < headLen {
		if err := f.more(); err != nil {
			return 0, nil, err
		}
	}
	n := binary.LittleEndian.Uint32(f.buf[f.r:])
	typ = f.buf[f.r+4]
	if uint64(n) > uint64(f.max) {
		return 0, nil, fmt.Errorf("%w: %d bytes, at most %d are allowed", errFrame, n, f.max)
	}
	f.r += headLen
	payload = make([]byte, n)
	k := copy(payload, f.buf[f.r:f.w])
	f.r += k
	if _, err := io.ReadFull(f.src, payload[k:]); err != nil {
		return 0, nil, unexpected(err)
	}
	return typ, payload, nil
}

// more reads once, after moving what is left to the front of the buffer.
func (f *frameReader) more() error {
	f.w = copy(f.buf, f.buf[f.r:f.w])
	f.r = 0
	n, err := f.src.Read(f.buf[f.w:])
	f.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	if f.w > 0 {
		return unexpected(err)
	}
	return err
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// hello is the first frame a worker gets: its limits.
type hello struct {
	Memory int64         // bytes that the address space may grow by
	CPU    time.Duration // processor time of its whole life
	// Namespaces: it was started in namespaces of its own, and has an empty
	// root to make. Track: it has a track, as the descriptor after the socket.
	Namespaces, Track bool
}

func (h hello) append(b []byte) []byte {
	start := len(b)
	b = runtime.AppendString(beginFrame(b, frameHello), protocol)
	b = binary.AppendVarint(b, h.Memory)
	b = binary.AppendVarint(b, int64(h.CPU))
	return endFrame(append(b, flag(h.Namespaces), flag(h.Track)), start)
}

func decodeHello(payload []byte) (hello, error) {
	d := runtime.NewDecoder(payload)
	if v := d.String(); v != protocol && d.Err() == nil {
		return hello{}, fmt.Errorf("server and worker are of different builds: %.64q and %q", v, protocol)
	}
	h := hello{Memory: d.Varint(), CPU: time.Duration(d.Varint()), Namespaces: d.Byte() == 1, Track: d.Byte() == 1}
	return h, d.Finish()
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// appendLoad appends a frameLoad or framePreload.
func appendLoad(b []byte, typ byte, bundle *runtime.Bundle, lim runtime.Limits) []byte {
	start := len(b)
	b = runtime.AppendLimits(beginFrame(b, typ), lim)
	return endFrame(runtime.AppendBundle(b, bundle), start)
}

func decodeLoad(payload []byte) (*runtime.Bundle, runtime.Limits, error) {
	d := runtime.NewDecoder(payload)
	lim := d.Limits()
	if err := d.Err(); err != nil {
		return nil, lim, err
	}
	b, err := runtime.DecodeBundle(payload[len(payload)-d.Len():])
	return b, lim, err
}

func appendRun(b []byte, c *runtime.Call) []byte {
	start := len(b)
	return endFrame(runtime.AppendCall(beginFrame(b, frameRun), c), start)
}

func appendForget(b []byte, d runtime.Digest) []byte {
	start := len(b)
	return endFrame(append(beginFrame(b, frameForget), d[:]...), start)
}

func appendSlow(b []byte) []byte { return endFrame(beginFrame(b, frameSlow), len(b)) }

// span is a range of requests: those after from, up to to.
type span struct{ from, to uint64 }

func (s span) has(number uint64) bool { return number > s.from && number <= s.to }

func appendCancel(b []byte, s span) []byte {
	start := len(b)
	b = binary.AppendUvarint(beginFrame(b, frameCancel), s.from)
	return endFrame(binary.AppendUvarint(b, s.to), start)
}

func decodeCancel(payload []byte) (span, error) {
	d := runtime.NewDecoder(payload)
	s := span{from: d.Uvarint(), to: d.Uvarint()}
	return s, d.Finish()
}

// answer is what a worker says to one request.
type answer struct {
	number   uint64
	heap     int64 // bytes in use after it
	manifest *runtime.Manifest
	errs     runtime.Errors
	reply    *runtime.Reply
	refused  string
}

// decodeAnswer reads an answer. An error means that the worker cannot be trusted any more.
func decodeAnswer(typ byte, payload []byte) (answer, error) {
	number, n := binary.Uvarint(payload)
	if n <= 0 {
		return answer{}, fmt.Errorf("%w: no number", errFrame)
	}
	heap, k := binary.Varint(payload[n:])
	if k <= 0 || heap < 0 {
		return answer{}, fmt.Errorf("%w: no heap size", errFrame)
	}
	a, body := answer{number: number, heap: heap}, payload[n+k:]
	var err error
	switch typ {
	case frameManifest:
		a.manifest, err = runtime.DecodeManifest(body)
	case frameErrors:
		if a.errs, err = runtime.DecodeErrors(body); err == nil && len(a.errs) == 0 {
			err = errors.New("no errors in it")
		}
	case frameReply:
		a.reply, err = runtime.DecodeReply(body)
	case frameRefused:
		a.refused = "refused: " + string(body[:min(len(body), 1000)])
	case frameLoaded:
		if len(body) > 0 {
			err = errors.New("not empty")
		}
	default:
		err = errors.New("unknown type")
	}
	if err != nil {
		return answer{}, fmt.Errorf("%w: type %q: %w", errFrame, typ, err)
	}
	return a, nil
}
