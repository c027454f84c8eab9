package ipc

import (
	"context"
	"regexp"
	"slices"
	"strings"

	"github.com/stead-dev/stead/supervisor"
)

// missesVariable sharpens an explanation: a service that ended by itself, whose
// last words are that an environment variable is not set, and which really was
// not given it, ended for want of that.
func (h handlers) missesVariable(ctx context.Context, e *explanation, cause supervisor.Cause, output []string) {
	if cause.Kind != supervisor.CauseExit || e.cause == "" {
		return
	}
	name, line := missingVariable(output)
	if name == "" || h.isGiven(ctx, e.root, name) {
		return
	}
	sharper := "environment variable " + name + " is not set (" + e.cause + ")"
	e.summary, e.cause = strings.Replace(e.summary, e.cause, sharper, 1), sharper
	e.evidence = append([]string{"it wrote: " + strings.TrimSpace(line)}, e.evidence...)
	e.hint = "set " + name + ": under `environment` of " + e.root.Service + ", in its env_file, or where `stead up` is called"
	if e.kind == string(supervisor.CauseExit) {
		e.kind = "variable"
	}
}

// isGiven reports whether a service has a variable with a value. When that
// cannot be known, its own words are believed.
func (h handlers) isGiven(ctx context.Context, service supervisor.Name, name string) bool {
	env, err := h.backend.Env(ctx, service, EnvRequest{})
	return err == nil && slices.ContainsFunc(env.Variables, func(v EnvVariable) bool {
		return v.Name == name && (v.Value != "" || v.Masked)
	})
}

// missingVariable returns the variable whose absence the lines complain of, and
// the last line that does; "" for none. It is meant to be right when it speaks:
// what shells, common libraries, and people write is known to it, and a name
// in capitals alone is not enough.
func missingVariable(lines []string) (name, line string) {
	complaints := complaintsOfVariables()
	inEnviron := strings.Contains(strings.Join(lines, "\n"), "environ") || strings.Contains(strings.Join(lines, "\n"), "<frozen os>")
	for _, line := range slices.Backward(lines) {
		line = line[:min(len(line), complaintMost)]
		for _, c := range complaints {
			if c.inEnviron && !inEnviron {
				continue
			}
			if found := c.text.FindStringSubmatch(line); found != nil {
				return found[1], line
			}
		}
	}
	return "", ""
}

// complaintMost is what is looked at of a line: people's words, not data.
const complaintMost = 1 << 10

type complaint struct {
	text      *regexp.Regexp // its first group is the variable
	inEnviron bool           // only where the lines speak of the environment besides
}

// complaintsOfVariables are made when they are asked for: clients, which have
// this package too, should not pay for them on each start.
func complaintsOfVariables() []complaint {
	const (
		any     = `([A-Za-z_][A-Za-z0-9_]*)`
		capital = `([A-Z][A-Z0-9_]*[A-Z0-9])`
		long    = `([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)` // surely no word that somebody shouts
		quote   = "[\"'`]?"
		absent  = `(?:is |was |are |be )?(?:not (?:set|found|defined|provided|specified|present|configured)|unset|undefined|missing|required|empty|blank|(?:must|needs to|has to|should) be (?:set|defined|provided|specified|given))`
		env     = `(?i:env(?:ironment)?[ -]?var(?:iable)?s?)`
	)
	return []complaint{
		// shells: ${NAME:?}, set -u
		{text: regexp.MustCompile(`(?:^|[\s:])` + any + `: (?:parameter (?:null or )?not set|unbound variable)`)},
		// "the environment variable NAME is not set", "missing required environment variable: NAME"
		{text: regexp.MustCompile(env + `:? ` + quote + capital + quote + `:? ` + absent)},
		{text: regexp.MustCompile(env + ` ` + absent + `:? ` + quote + capital + `\b`)},
		{text: regexp.MustCompile(quote + `\b` + capital + quote + ` ` + env + ` ` + absent)},
		{text: regexp.MustCompile(`(?i:missing|required|not found|not set|undefined|unset|no such|need)[^:]{0,40}?` + env + `[^A-Z]{0,12}?` + quote + capital + `\b`)},
		// "NAME_OF_IT must be set", "required key NAME_OF_IT missing value"
		{text: regexp.MustCompile(`\b` + long + quote + `:? ` + absent)},
		{text: regexp.MustCompile(`(?i:missing|required|please (?:set|provide|define))(?: [a-z]+){0,3}:? \$?` + quote + long + `\b`)},
		// Python, Ruby, Spring
		{text: regexp.MustCompile(`^KeyError: '` + capital + `'`), inEnviron: true},
		{text: regexp.MustCompile(`key not found: "` + capital + `" \(KeyError\)`)},
		{text: regexp.MustCompile(`(?i:could not resolve placeholder) '` + capital + `'`)},
	}
}
