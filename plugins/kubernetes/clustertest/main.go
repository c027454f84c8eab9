//go:build linux

// Command clustertest builds and runs a real Kubernetes for tests: etcd and the
// API server alone, with the controllers, or a whole node that runs containers.
//
//	clustertest build [-timeout 35m] [-tier node]    the binaries, once; kept in the cache
//	clustertest ready [-tier node]                   exit 0 when a cluster of that tier can be started
//	clustertest up [-tier api|control|node] [-name N] [-net N] [-linger 1m] [-json]
//	clustertest down [-name N]
//	clustertest show [-name N]                       its cluster.json
//	clustertest load [-name N] FILE.tar…             images into the node's containerd
//	clustertest image [-signal SIGHUP] NAME:TAG OUT.tar /path=FILE…   an image of static binaries, the first is run
//
// A cluster has one process that keeps it. When that one ends, however it ends,
// all of the cluster ends with it, and it ends by itself when for its -linger
// nobody has held a connection to the socket `lease` beside its cluster.json.
// Clusters of the same machine are told apart by name, and those with a node
// also by -net, which numbers their addresses. All commands may run at the same
// time; one `up` per name starts the cluster and the others wait for it.
//
// It ends with 3 where a cluster of the tier cannot be on this machine, or its
// binaries were not built in time, and with 1 when something is wrong.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"
)

// exitCannot is how build, ready and up end where a cluster cannot be, through
// no fault of what is to be tested: the machine lacks something, or has no time.
const exitCannot = 3

var errCannot = errors.New("this machine cannot run such a cluster now")

// source is the folder of this module, for build. The Makefile sets it.
var source string

func main() {
	commands := map[string]func([]string) error{
		"build": buildCommand, "ready": readyCommand, "up": upCommand, "down": downCommand, "show": showCommand,
		"load": loadCommand, "image": imageCommand,
		"keep": keepCommand, "init": initCommand, "registry": registryCommand, // what a cluster consists of
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: clustertest build|ready|up|down|show|load|image …")
		os.Exit(2)
	}
	os.Setenv("PATH", os.Getenv("PATH")+":/usr/local/sbin:/usr/sbin:/sbin") // an ordinary user's may lack them
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "clustertest:", err)
		if errors.Is(err, errCannot) {
			os.Exit(exitCannot)
		}
		os.Exit(1)
	}
}

// flags are those of up; the other commands take some of them.
type flags struct {
	*flag.FlagSet
	name, tier string
}

func newFlags(command string) *flags {
	f := &flags{FlagSet: flag.NewFlagSet(command, flag.ExitOnError)}
	f.StringVar(&f.tier, "tier", "node", "api: etcd and kube-apiserver; control: with controller manager and scheduler; node: runs containers")
	f.StringVar(&f.name, "name", "", "the cluster's `name`; its tier when empty")
	return f
}

func (f *flags) parse(args []string) error {
	if err := f.Parse(args); err != nil {
		return err
	}
	if _, ok := tiers[f.tier]; !ok {
		return fmt.Errorf("there is no tier %q: api, control or node", f.tier)
	}
	if f.name == "" {
		f.name = f.tier
	}
	return nil
}

func upCommand(args []string) error {
	f := newFlags("up")
	net := f.Int("net", -1, "0 to 15: which addresses a node takes, 10.99.`N`.0/24 and so on; the first free one when negative")
	linger := f.Duration("linger", time.Minute, "how long it lives while nobody holds its lease")
	asJSON := f.Bool("json", false, "print cluster.json")
	if err := f.parse(args); err != nil {
		return err
	}
	c, err := up(wanted{Name: f.name, Tier: f.tier, Net: *net, Linger: *linger})
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(c)
	}
	fmt.Printf("export KUBECONFIG=%s PATH=%s:$PATH\n", c.Kubeconfig, c.path("bin"))
	return nil
}

func downCommand(args []string) error {
	f := newFlags("down")
	if err := f.parse(args); err != nil {
		return err
	}
	return down(f.name)
}

func showCommand(args []string) error {
	f := newFlags("show")
	if err := f.parse(args); err != nil {
		return err
	}
	c, err := load(f.name)
	if err != nil {
		return err
	}
	return printJSON(c)
}

func loadCommand(args []string) error {
	f := newFlags("load")
	if err := f.parse(args); err != nil {
		return err
	}
	c, err := load(f.name)
	if err != nil {
		return err
	}
	if c.Containerd == "" {
		return errors.New("a cluster without node has no containerd to load images into: up -tier node")
	}
	return c.importImages(f.Args()...)
}

func imageCommand(args []string) error {
	f := flag.NewFlagSet("image", flag.ExitOnError)
	signal := f.String("signal", "", "what ends it; SIGTERM unless told")
	_ = f.Parse(args) // it exits
	if f.NArg() < 3 {
		return errors.New("usage: clustertest image [-signal SIGHUP] NAME:TAG OUT.tar /path=FILE…")
	}
	return writeImage(f.Arg(0), f.Arg(1), *signal, f.Args()[2:])
}

func printJSON(v any) error {
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", "\t")
	return e.Encode(v)
}
