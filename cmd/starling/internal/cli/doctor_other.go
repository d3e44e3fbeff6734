//go:build !unix

package cli

import "errors"

// openFiles cannot be told here.
func openFiles() (uint64, bool) { return 0, false }

// space cannot be told here.
func space(string) (free, total uint64, err error) { return 0, 0, errors.ErrUnsupported }
