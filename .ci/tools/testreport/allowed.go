package main

import (
	"fmt"
	"os"
	"strings"
)

// readAllowed returns the tests that may be skipped, nil without a file.
func readAllowed(path string) (map[string]bool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	allowed := map[string]bool{}
	for i, line := range strings.Split(string(text), "\n") {
		test, reason, _ := strings.Cut(line, "#")
		test, reason = strings.TrimSpace(test), strings.TrimSpace(reason)
		if test == "" {
			continue
		}
		if reason == "" {
			return nil, fmt.Errorf("%s:%d: %s has no reason: write `%s # why`", path, i+1, test, test)
		}
		allowed[test] = true
	}
	return allowed, nil
}

// allowed reports whether the test, or one that it is a subtest of, is named.
func (s skip) allowed(names map[string]bool) bool {
	for test := s.test; ; {
		if names[test] {
			return true
		}
		i := strings.LastIndexByte(test, '/')
		if i < 0 {
			return false
		}
		test = test[:i]
	}
}
