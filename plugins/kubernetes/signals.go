package kubernetes

import (
	"strconv"
	"strings"
)

// signals of Linux by number: containers are of Linux, this program need not be.
var signals = [...]string{
	1: "HUP", 2: "INT", 3: "QUIT", 4: "ILL", 5: "TRAP", 6: "ABRT", 7: "BUS", 8: "FPE", 9: "KILL", 10: "USR1", 11: "SEGV",
	12: "USR2", 13: "PIPE", 14: "ALRM", 15: "TERM", 16: "STKFLT", 17: "CHLD", 18: "CONT", 19: "STOP", 20: "TSTP", 21: "TTIN",
	22: "TTOU", 23: "URG", 24: "XCPU", 25: "XFSZ", 26: "VTALRM", 27: "PROF", 28: "WINCH", 29: "IO", 30: "PWR", 31: "SYS",
}

// signalNumber knows TERM and SIGTERM; nothing said is TERM.
func signalNumber(name string) (int, bool) {
	if name == "" {
		return 15, true
	}
	name = strings.TrimPrefix(name, "SIG")
	for n, known := range signals {
		if n > 0 && known == name {
			return n, true
		}
	}
	return 0, false
}

// signalName is the inverse: "SIGTERM" for 15.
func signalName(n int) string {
	if n > 0 && n < len(signals) {
		return "SIG" + signals[n]
	}
	return "signal " + strconv.Itoa(n)
}
