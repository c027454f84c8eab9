package plugin

// BootID identifies this boot of the machine: what ran under another one is
// gone.
func BootID() (string, error) { return bootID() }
