package worker

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownNamespaces are what a worker of strict mode has of its own.
const ownNamespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWNET |
	unix.CLONE_NEWIPC | unix.CLONE_NEWUTS | unix.CLONE_NEWCGROUP

// attributes are those of a worker's process.
//
// The user namespace has no mapping: inside, every user is nobody. To write
// one, the server would have to be readable by others of its user for as long
// (see HardenServer). The capabilities, which count inside the namespaces only
// and which the worker gives up once it has its root, pass the exec as ambient ones.
func attributes(namespaces bool) *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Setpgid: true}
	if namespaces {
		a.Cloneflags = ownNamespaces
		a.AmbientCaps = []uintptr{unix.CAP_SYS_ADMIN, unix.CAP_SYS_CHROOT}
	}
	return a
}

// explainNamespaces says what forbids the namespaces, and what to do about it.
func explainNamespaces(err error) error {
	if !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES) && !errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.EUSERS) {
		return err
	}
	why := "the container does (its seccomp profile must allow clone and unshare with CLONE_NEWUSER)"
	for _, s := range []struct{ name, forbids, permits string }{
		{"user.max_user_namespaces", "0", "15000"},
		{"kernel.unprivileged_userns_clone", "0", "1"},
		{"kernel.apparmor_restrict_unprivileged_userns", "1", "0"},
	} {
		text, readErr := os.ReadFile("/proc/sys/" + strings.ReplaceAll(s.name, ".", "/"))
		if readErr == nil && strings.TrimSpace(string(text)) == s.forbids {
			why = fmt.Sprintf("the kernel's setting %s = %s does (sysctl %s=%s permits them)", s.name, s.forbids, s.name, s.permits)
			break
		}
	}
	return fmt.Errorf("sandbox: strict needs user namespaces, and something forbids them: %s; or choose sandbox: default: %w", why, err)
}

// enterEmptyRoot leaves this process with an empty root directory that cannot
// be written, in its own mount namespace, and with no capability.
func enterEmptyRoot() error {
	const flags = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	// Any directory would do to mount on; this one is there, and not needed any more.
	const dir = "/proc"
	if err := unix.Mount("none", dir, "tmpfs", flags, "size=4k,nr_inodes=1,mode=0555"); err != nil {
		return explainNamespaces(fmt.Errorf("mount empty root: %w", err))
	}
	if err := unix.Chdir(dir); err != nil {
		return fmt.Errorf("enter empty root: %w", err)
	}
	switch err := unix.PivotRoot(".", "."); {
	case err == nil:
		if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
			return fmt.Errorf("leave the old root: %w", err)
		}
	case errors.Is(err, unix.EINVAL): // the root of an initramfs cannot be pivoted
		if err := unix.Chroot("."); err != nil {
			return fmt.Errorf("enter empty root: %w", err)
		}
	default:
		return fmt.Errorf("enter empty root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return fmt.Errorf("enter empty root: %w", err)
	}
	if err := unix.Mount("", "/", "", flags|unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("make empty root read-only: %w", err)
	}
	return dropCapabilities()
}

// dropCapabilities takes them from every thread, for good.
func dropCapabilities() error {
	if err := everyThread(unix.SYS_PRCTL, unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	err := everyThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&head)), uintptr(unsafe.Pointer(&none[0])), 0, 0)
	runtime.KeepAlive(&head)
	runtime.KeepAlive(&none)
	if err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// everyThread makes a system call whose effect is on one thread on all of them.
// A program with cgo in it (the race detector's) cannot.
func everyThread(call, a, b, c, d uintptr) error {
	if _, _, errno := syscall.AllThreadsSyscall6(call, a, b, c, d, 0, 0); errno != 0 {
		return errno
	}
	return nil
}
