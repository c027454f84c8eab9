package manifest

// readLater checks the keys that are read but have no effect yet, so that a
// manifest with them is right on the day they get one.
func (s *draft) readLater() {
	if f, ok := s.keys["watch"]; ok {
		s.texts(f.value, "watch")
		s.warn(f.key, "use stead restart after a change", "watch is not in effect yet")
	}
	if f, ok := s.keys["image"]; ok && s.keys["command"].key != nil {
		s.text(f.value, "image")
		s.warn(f.key, "", "image is not used here: the command runs on this machine")
	}
}
