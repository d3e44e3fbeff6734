package runtimetest_test

import (
	"testing"

	"github.com/starling-rules/starling/runtime/runtimetest"
)

func TestParseCaseRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"a limit that is no number": "steps: many\n",
		"a deadline without a unit": "deadline: 5\n",
		"a result without a kind":   "-- results --\n{}\n",
		"a result that is not JSON": "-- results --\nsend {\n",
		"a config that is not JSON": "-- config.json --\n{\n",
		"extra that is not JSON":    "extra: [\n",
	} {
		if c, err := runtimetest.ParseCase("x", []byte(text)); err == nil {
			t.Errorf("%s: got %+v", name, c)
		}
	}
}

func TestEveryCaseHasAScriptAndATranscript(t *testing.T) {
	t.Parallel()
	for _, c := range runtimetest.Cases(t) {
		if len(c.Files) == 0 || len(c.Want) == 0 {
			t.Errorf("case %s lacks a script or a transcript", c.Name)
		}
	}
}
