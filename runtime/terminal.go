package runtime

// TerminalRequest opens a Session. Exactly one of Attach and Run is set.
type TerminalRequest struct {
	Attach *InstanceID // Attempt 0: the one that runs now. Only where Spec.Terminal is set
	Run    *Spec       // a command beside a service; its tree ends with the session
	Size   Size
}

// Size of a terminal in character cells. Zero means 80 by 24.
type Size struct{ Columns, Rows int }

// A Session carries a terminal's bytes. Send and Receive may be called
// concurrently with each other. Closing the session detaches from an attached
// instance, and ends the tree of a command that was run.
type Session interface {
	Send(in TerminalInput) error
	// Receive returns the next output. After the one with Exit set comes io.EOF.
	Receive() (TerminalOutput, error)
	Close() error
}

// TerminalInput goes to the process.
type TerminalInput struct {
	Data   []byte
	Resize *Size
	EOF    bool // no more input: closes stdin where there is no terminal
}

// TerminalOutput comes from the process.
type TerminalOutput struct {
	Data   []byte
	Stream Stream
	Exit   *Exit
}
