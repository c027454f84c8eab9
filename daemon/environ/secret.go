package environ

import (
	"net/url"
	"regexp"
	"strings"
)

// secretName matches what people call variables whose value is not for other
// eyes, whole or in part.
var secretName = regexp.MustCompile(`(?i)SECRET|TOKEN|PASSW|PASSPHRASE|CREDENTIAL|(^|_)(PASS|PWD|AUTH|COOKIE)$|(^|[_-])?(API|ACCESS|PRIVATE|SIGNING|ENCRYPTION)[_-]?KEY|[_-]KEY$|^KEY$`)

// notSecret are names that secretName matches, and that everybody has.
var notSecret = map[string]bool{"PWD": true, "OLDPWD": true}

// secretValue matches what is a secret whatever its name: a private key, and
// the tokens of those who mark theirs.
var secretValue = regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY|^(gh[pousr]_|github_pat_|glpat-|xox[abprs]-|sk-|sk_live_|AKIA)[A-Za-z0-9_-]{8,}`)

// Secret reports whether a variable is to be shown only when that is asked
// for: by its name, or because its value is an address with a password in it.
func Secret(name, value string) bool {
	if value == "" || notSecret[name] {
		return false
	}
	return secretName.MatchString(name) || secretValue.MatchString(value) || hasPassword(value)
}

// dsnPassword matches the password of addresses that are no URLs:
// user:password@tcp(host)/db, and key=value lists.
var dsnPassword = regexp.MustCompile(`(?i)^[^\s/:@]+:[^\s@/][^\s@]*@|(^|[\s;])(password|pwd)=\S`)

func hasPassword(value string) bool {
	if dsnPassword.MatchString(value) {
		return true
	}
	for _, word := range strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == '\n' }) {
		_, rest, ok := strings.Cut(word, "://")
		if !ok {
			continue
		}
		if u, err := url.Parse(word); err == nil {
			if _, set := u.User.Password(); set {
				return true
			}
			continue
		}
		// What net/url refuses may hold one all the same.
		authority, _, _ := strings.Cut(rest, "/")
		if user, _, ok := strings.Cut(authority, "@"); ok && strings.Contains(user, ":") {
			return true
		}
	}
	return false
}
