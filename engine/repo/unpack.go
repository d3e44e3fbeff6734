package repo

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path"
	"path/filepath"
)

// unpack writes the plain files and directories of an archive below dir. Links
// and all else are left out, and a name that leads out of it is an error.
func unpack(from io.Reader, dir string, maxBytes int64, maxFiles int, log *slog.Logger) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	in := tar.NewReader(from)
	files := 0
	for {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the archive: %w", err)
		}
		name := path.Clean(h.Name)
		if !filepath.IsLocal(name) {
			return fault{fmt.Errorf("%q leads out of the repository", h.Name)}
		}
		if files++; files > maxFiles {
			return fault{fmt.Errorf("has more than %d files", maxFiles)}
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(name, 0o700)
		case tar.TypeReg:
			if maxBytes -= h.Size; maxBytes < 0 {
				return fault{errors.New("its files are too large")}
			}
			err = write(root, name, in)
		case tar.TypeXGlobalHeader:
		default:
			log.Warn("a link, or what else is no plain file, is left out of the rules", "name", name)
		}
		if err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
}

func write(root *os.Root, name string, from io.Reader) error {
	if err := root.MkdirAll(path.Dir(name), 0o700); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
