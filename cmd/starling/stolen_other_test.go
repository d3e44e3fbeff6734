//go:build !linux

package main

import (
	"testing"
	"time"
)

const stolenWatch = "STARLING_TEST_WATCH_STOLEN"

func watchStolen() {}

type stolen struct{}

func newStolen(*testing.T) *stolen { return &stolen{} }

func (*stolen) during(time.Time, time.Time) bool { return false }
