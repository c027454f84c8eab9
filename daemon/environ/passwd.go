package environ

import (
	"strconv"
	"strings"
)

// noted returns what passwd(5) has of a user.
func noted(passwd string, uid int) (home, shell string) {
	for line := range strings.Lines(passwd) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) == 7 && fields[2] == strconv.Itoa(uid) {
			return fields[5], fields[6]
		}
	}
	return "", ""
}
