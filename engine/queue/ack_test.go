package queue

import "testing"

func TestPlainAck(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]uint64{
		`{"stream":"starling-EV-0", "seq":22}`:                         22,
		`{"stream":"starling-EV-0","seq":18446744073709551615}`:        18446744073709551615,
		`{"stream":"S", "seq":0}`:                                      0,
		`{"stream":"S", "seq":22,"duplicate": true}`:                   0,
		`{"stream":"S", "domain":"x", "seq":22}`:                       0,
		`{"error":{"code":503,"err_code":10077},"stream":"S","seq":0}`: 0,
		`{"stream":"S","seq":5,"error":{"code":503}}`:                  0,
		`{"stream":"S", "seq":22`:                                      0,
		`{"stream":"S`:                                                 0,
		`{"stream":"S", "seq":-1}`:                                     0,
		``:                                                             0,
	} {
		if got := plainAck([]byte(in)); got != want {
			t.Errorf("plainAck(%s) = %d, want %d", in, got, want)
		}
	}
}
