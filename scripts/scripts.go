// Package scripts holds the library scripts that ship inside the binary.
// Rules reach them with load("@starling//path.star", "name").
package scripts

import "embed"

// FS holds the scripts by path, tests included.
//
//go:embed *.star omnibot/*.star omnibot/*.lua omnibot/callbacks/*.star
var FS embed.FS
