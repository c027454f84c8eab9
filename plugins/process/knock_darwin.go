package process

// nonblockCloexec: macOS has no such flags for socket(2). Between that call
// and fcntl a child may be forked and inherit the socket, which is closed a
// moment later on our side and harms nobody.
const nonblockCloexec = 0
