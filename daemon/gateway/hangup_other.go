//go:build !linux

package gateway

// away does not know: a caller with a body that has gone keeps its place until
// its time is over.
func (c *conn) away() bool { return false }

func (c *conn) reset() bool { return false }
