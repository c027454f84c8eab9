// Command dns is CoreDNS with only the plugins that a cluster's DNS needs. It
// is a module of its own: beside Kubernetes it would raise versions that
// Kubernetes pins, and nearly everything would compile anew.
package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
)

func main() {
	dnsserver.Directives = []string{"ready", "errors", "cache", "kubernetes"} // in the order of a query's way
	coremain.Run()
}
