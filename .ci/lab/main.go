// Command lab measures stead against its budgets, and attacks it.
//
//	lab bench [-rows status,crash,idle,logs,save,lost,streams,proxies] [-n 10,100,500,1000] [-samples 300]
//	lab chaos [-mode storm|clock|spine|disk|readonly] [-duration 1m] [-seed N]
//
// Each row of bench is measured in rounds that alternate with a floor in the
// same run: a bare Go fork+exec supervisor, or an empty Go program. Only
// ratios are judged; the load average is printed, as machines are shared.
//
// -bin DIR (bin) holds the binaries of stead, `service` and `empty`.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	bin      string
	rows     string
	sizes    []int
	samples  int
	rounds   int
	idle     int
	mib      int
	user     int
	direct   bool
	reloads  int
	saves    int
	files    int
	services int
	rate     int
	burst    int
	mode     string
	duration time.Duration
	seed     uint64
}

func main() {
	var o options
	flags := flag.NewFlagSet("lab", flag.ExitOnError)
	sizes := flags.String("n", "10,100,500,1000", "numbers of services")
	flags.StringVar(&o.bin, "bin", "bin", "where the binaries are")
	flags.StringVar(&o.rows, "rows", "status,crash,idle,logs,save,lost,streams,proxies", "what to measure")
	flags.IntVar(&o.samples, "samples", 300, "samples per figure of status and crash")
	flags.IntVar(&o.rounds, "rounds", 3, "rounds of idle and logs")
	flags.IntVar(&o.mib, "mib", 1024, "MiB of logs that one service writes, and that are searched")
	flags.IntVar(&o.idle, "idle", 10, "seconds over which idle services are watched; the budget is over 60")
	flags.BoolVar(&o.direct, "direct", false, "of status, crash and idle: services listen on their ports themselves, without the gateway")
	flags.IntVar(&o.user, "user", 0, "run services and stead as this uid (needs root)")
	flags.IntVar(&o.reloads, "reloads", 1000, "of lost: reloads under load")
	flags.IntVar(&o.saves, "saves", 24, "of save and save-build: saves for each peer, and as many under load")
	flags.IntVar(&o.files, "files", 50_000, "of files: how many are watched")
	flags.IntVar(&o.services, "services", 30, "of monorepo: how many there are")
	flags.IntVar(&o.rate, "rate", 500, "of lost: requests a second")
	flags.IntVar(&o.burst, "burst", 5, "of proxies: seconds for each in a round")
	flags.StringVar(&o.mode, "mode", "storm", "of chaos: storm, clock (a storm, and the machine's time is set), spine (kill -9 of the runtime), disk (full), readonly (state); the last two need root")
	flags.DurationVar(&o.duration, "duration", time.Minute, "how long chaos lasts")
	flags.Uint64Var(&o.seed, "seed", uint64(time.Now().UnixNano()), "of chaos; printed")
	switch {
	case len(os.Args) == 4 && os.Args[1] == "proxy": // started by the row proxies
		fail(serveProxy(os.Args[2], os.Args[3]))
	case len(os.Args) == 4 && os.Args[1] == "copy": // by the row splice
		fail(serveCopy(os.Args[2], os.Args[3]))
	case len(os.Args) == 3 && os.Args[1] == "pump": // by stead, for the row splice
		fail(servePump(os.Args[2]))
	}
	if len(os.Args) < 2 {
		fail(errors.New("say bench or chaos"))
	}
	_ = flags.Parse(os.Args[2:])
	for _, text := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			fail(err)
		}
		o.sizes = append(o.sizes, n)
	}
	var err error
	if o.bin, err = filepath.Abs(o.bin); err != nil {
		fail(err)
	}
	switch os.Args[1] {
	case "bench":
		if err = endOnSignal(); err == nil { // chaos heeds signals itself
			err = bench(o)
		}
	case "chaos":
		err = chaos(o)
	default:
		err = errors.New("say bench or chaos")
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	ending.Lock() // for good: a signal that ends the lab has its own exit
	fmt.Fprintln(os.Stderr, "lab: error:", err)
	os.Exit(1)
}

func bench(o options) error {
	load, _ := os.ReadFile("/proc/loadavg")
	fmt.Printf("load average %s", load)
	v := &verdicts{}
	for _, row := range strings.Split(o.rows, ",") {
		measure, ok := map[string]func(options, *verdicts) error{
			"save": save, "save-build": saveBuild, "files": files, "splice": splice, "monorepo": monorepos, "lost": lost, "streams": streams, "proxies": proxies,
			"status": status, "crash": crash, "idle": idle, "kubernetes": kubernetes,
			"logs": logs, "logs-one": logsOne, "logs-hundred": logsHundred, "logs-follow": logsFollow,
		}[row]
		if !ok {
			return fmt.Errorf("there is no row %q", row)
		}
		if err := measure(o, v); err != nil {
			return fmt.Errorf("%s: %w", row, err)
		}
	}
	load, _ = os.ReadFile("/proc/loadavg")
	fmt.Printf("load average %s", load)
	if v.missed > 0 {
		return fmt.Errorf("%d budgets missed", v.missed)
	}
	return nil
}
