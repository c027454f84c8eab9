package main

import "strings"

// wish is what was asked for of a service.
type wish string

// The wishes. Whether a call that was cut off got through is not known.
const (
	wishUp      wish = "up"
	wishDown    wish = "down"
	wishUnknown wish = "unknown"
)

// model is what the attacker has asked for.
type model map[string]wish

// asked notes a call of verb and whether it came back well.
func (m model) asked(verb string, services []string, well bool) {
	to := map[string]wish{"up": wishUp, "down": wishDown}[verb]
	if to == "" {
		return
	}
	for _, s := range services {
		switch {
		case well:
			m[s] = to
		case m[s] != to:
			m[s] = wishUnknown
		}
	}
}

// mind returns why a service is not as asked, "" when it is.
func (m model) mind(s serviceStatus, alive map[string][]process) string {
	want := m[s.Name]
	if want == wishUnknown {
		want = wish(s.Want)
	}
	var live []int
	for _, i := range s.Instances {
		if i.PID > 0 && i.Exit == "" {
			live = append(live, i.PID)
		}
	}
	running := alive[s.Name]
	switch {
	case s.Want != string(want):
		return s.Name + " is to be " + string(want) + ", and stead wants it " + s.Want
	case want == wishDown && s.Phase != "stopped":
		return s.Name + " is to be down and is " + s.Phase
	case want == wishDown && (len(live) > 0 || len(running) > 0):
		return s.Name + " is down, and runs"
	case want == wishDown || strings.HasPrefix(s.Name, "flapper"):
		return ""
	case s.Phase != "ready":
		return s.Name + " is to be up and is " + s.Phase + ": " + s.Cause
	case len(live) != 1 || len(running) != 1 || running[0].pid != live[0]:
		return s.Name + " has other processes than stead says"
	}
	return ""
}
