package process

import "golang.org/x/sys/unix"

// procPage holds all that is read of one file: the kernel makes the text of
// most of them in a page.
const procPage = 4096

// readProc returns what one read(2) of a file in /proc or of a cgroup gives,
// in page; nothing where it cannot be read. It is three system calls, where
// os.ReadFile makes twelve, most of them for the poller.
func readProc(path string, page []byte) []byte {
	fd, err := openProc(path, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Read(fd, page)
		if err != unix.EINTR {
			return page[:max(n, 0)]
		}
	}
}

// readNames lists a directory in /proc, by way of page.
func readNames(path string, page []byte) []string {
	fd, err := openProc(path, unix.O_DIRECTORY)
	if err != nil {
		return nil
	}
	defer unix.Close(fd)
	var names []string
	for {
		n, err := unix.ReadDirent(fd, page)
		if err != nil || n <= 0 {
			return names
		}
		_, _, names = unix.ParseDirent(page[:n], -1, names)
	}
}

func openProc(path string, flags int) (int, error) {
	for {
		fd, err := unix.Open(path, flags|unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
