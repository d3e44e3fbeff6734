package queue

import (
	"bytes"
	"errors"
	"testing"
)

func FuzzDecodeGroup(f *testing.F) {
	b := appendRecord(appendRecord(appendGroupHeader(nil, 1), "Ev1", 3, []byte("body")), "", 0, nil)
	f.Add(b)
	f.Add(b[:len(b)-2])
	f.Add([]byte{1})
	f.Add([]byte{2, 0, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		at, recs, err := decodeGroup(b)
		if err != nil {
			return
		}
		again := appendGroupHeader(nil, at)
		for _, r := range recs {
			again = appendRecord(again, r.id, r.home, r.body)
		}
		at2, recs2, err := decodeGroup(again)
		if err != nil || at2 != at || len(recs2) != len(recs) {
			t.Fatalf("decoded, encoded, decoded: %d records instead of %d, %v", len(recs2), len(recs), err)
		}
	})
}

func FuzzDecodePage(f *testing.F) {
	b := []byte{formatVersion}
	p := place{seq: 300, lane: 1, idx: 2}
	for _, it := range []item{
		{kind: itemOpen, id: "Ev1", stored: -5, attempt: 3},
		{kind: itemEntry, typ: 7, body: []byte("entry")},
		{kind: itemClaim, id: "name"},
		{kind: itemAttempt, attempt: 2},
		{kind: itemSettle, id: "Ev1", stored: 1, settled: 2},
		{kind: itemCarry, id: "Ev1", stored: 1, attempt: 9, body: []byte("body")},
		{kind: itemCopy, typ: 1, body: []byte("x")},
		{kind: itemCarried},
		{kind: itemLow},
		{kind: itemEpoch, id: "me"},
	} {
		it.place = p
		b = appendItem(b, &it)
		f.Add(bytes.Clone(b))
	}
	f.Add(b[:len(b)-1])
	f.Add([]byte{1, 99})
	f.Fuzz(func(t *testing.T, b []byte) {
		again := []byte{formatVersion}
		n := 0
		if err := decodePage(b, func(it *item) { again = appendItem(again, it); n++ }); err != nil {
			return
		}
		third := []byte{formatVersion}
		if err := decodePage(again, func(it *item) { third = appendItem(third, it); n-- }); err != nil || n != 0 {
			t.Fatalf("decoded, encoded, decoded: %d items differ, %v", n, err)
		}
		if !bytes.Equal(again, third) {
			t.Fatal("the encoding is not stable")
		}
	})
}

func FuzzDecodeCellAndLetter(f *testing.F) {
	c := cell{present: true, forgot: 7, epoch: 9, expires: 5, value: []byte("v"), ops: []operation{{at: 3, result: []byte("r")}, {at: 4, others: true}}}
	f.Add(c.encode())
	l := letter{id: "a", home: 1, reason: "why", body: []byte("b"), entries: []Entry{{Type: 1, Body: []byte("e")}}}
	f.Add(l.encode(1 << 20))
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := decodeCell(b); err == nil {
			if _, err := decodeCell(c.encode()); err != nil {
				t.Fatal(err)
			}
		}
		if l, err := decodeLetter(b); err == nil {
			if _, err := decodeLetter(l.encode(1 << 30)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestNewerMessagesAreRefused(t *testing.T) {
	t.Parallel()
	b := appendGroupHeader(nil, 1)
	b[0] = formatVersion + 1
	if _, _, err := decodeGroup(b); !errors.Is(err, errNewer) {
		t.Errorf("decodeGroup: %v", err)
	}
	if err := decodePage(b, func(*item) {}); !errors.Is(err, errNewer) {
		t.Errorf("decodePage: %v", err)
	}
}
