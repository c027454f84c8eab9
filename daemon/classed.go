package daemon

// classed is a message for people with a class for programs.
type classed struct {
	text  string
	class error
}

func (c classed) Error() string { return c.text }
func (c classed) Unwrap() error { return c.class }

// wrapClass makes an error of a class (package runtime) that reads as text.
func wrapClass(text string, class error) error { return classed{text, class} }
