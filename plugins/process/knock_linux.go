package process

import "golang.org/x/sys/unix"

const nonblockCloexec = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC
