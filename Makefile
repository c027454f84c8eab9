# What each target does is said in README.md.
SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := build

VERSION   ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
DURATION  ?= 1m
# More flags for go test, for .ci/tools/testreport, and for the two of .ci/lab.
TESTFLAGS ?=
REPORT    ?=
BENCH     ?=
CHAOS     ?=
LINGER    ?= 8h

# The version is stamped here: go's own stamp fails in a checkout of somebody else.
LDFLAGS = -s -w -X main.version=$(VERSION)
# Without the tag grpc has pages to look at its calls, and a template engine for
# them, with which the linker must keep every method: 2.6 MB of the daemon.
GOBUILD = CGO_ENABLED=0 go build -tags grpcnotrace -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'

# Modules with code of ours, and packages that ./... does not reach.
MODULES = $(patsubst %/,%,$(dir $(wildcard go.mod testdata/shop/go.mod .ci/tools/testreport/go.mod plugins/kubernetes/clustertest/go.mod)))
BESIDE  = $(strip $(foreach p,.ci/lab testdata/service,$(if $(wildcard $p),./$p/...)))

build:
	@mkdir -p bin
	$(GOBUILD) -o bin/ ./cmd/...

run: build
	cd testdata/shop && { ../../bin/stead up || [ $$? -eq 130 ]; } # Ctrl-C is how one leaves it

test: bin/tools/testreport
	.ci/test '$(REPORT)' $(TESTFLAGS)

# stead as a user of a real systemd: root, and Debian's systemd, dbus,
# dbus-user-session, libpam-systemd and util-linux are needed.
systemd:
	STEAD_SYSTEMD=1 go test -count=1 -timeout 3m -run '^TestSystemd$$' -v ./packaging/systemd

# stead on real cgroup controllers, and under a clock that jumps, in a User Mode
# Linux: Debian's user-mode-linux and gcc are needed, and no root.
uml:
	STEAD_UML=1 go test -count=1 -timeout 6m -run '^TestUML$$' -v ./packaging/uml

# A real Kubernetes for tests: see plugins/kubernetes/clustertest. Its binaries
# are built once, in ten minutes or more, and kept outside of this folder. A
# node takes root, and Debian's containerd, runc, containernetworking-plugins,
# iptables and nftables.
cluster: bin/tools/clustertest bin/tools/testreport
	.ci/cluster node

cluster-api: bin/tools/clustertest bin/tools/testreport
	.ci/cluster api

cluster-build: bin/tools/clustertest
	bin/tools/clustertest build

# One for developers, that lives until nobody has used it for LINGER.
cluster-up: cluster-build
	bin/tools/clustertest up -linger $(LINGER)

cluster-down: bin/tools/clustertest
	bin/tools/clustertest down

check: check-format check-vet check-staticcheck check-generated check-tidy check-rules

check-format:
	@bad=$$(gofmt -l .); [ -z "$$bad" ] || { echo "not formatted, run gofmt -w:"; echo "$$bad"; exit 1; }

# macOS is a target that nothing here can run: at least it compiles.
check-vet:
	for m in $(MODULES); do (cd $$m && go vet ./...); done
	[ -z '$(BESIDE)' ] || go vet $(BESIDE)
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go vet ./...
	CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go build ./...

# Without ST1012: the errors of the contract read as runtime.NotFound.
check-staticcheck: bin/tools/staticcheck
	bin/tools/staticcheck -checks inherit,-ST1012 ./... $(BESIDE)

check-generated:
	@before=$$(.ci/generated); $(MAKE) --no-print-directory generate; \
	[ "$$before" = "$$(.ci/generated)" ] || { echo "generated code was out of date: it is made now, commit it"; git --no-pager diff --stat; exit 1; }

check-tidy:
	for m in $(MODULES); do (cd $$m && go mod tidy -diff); done

check-rules:
	go test -count=1 -run '^Test(Dependenc|Source|Comment|TopLevel|Committed|Tree)' ./cmd/steadd

# The budgets of the project, each beside its floor in the same run.
bench: lab
	bin/tools/lab bench $(BENCH)

# What CI asserts of reloads: that nothing is lost, at a rate that any machine
# keeps up with. Speed is for bench.
reload: lab
	bin/tools/lab bench -rows lost,streams -reloads 50 -rate 100

# What bench compares stead with, where it is to be had; needs the network.
peers:
	.ci/peers

chaos: lab
	bin/tools/lab chaos -duration $(DURATION) $(CHAOS)

lab: build
	$(GOBUILD) -o bin/tools/lab ./.ci/lab
	$(GOBUILD) -o bin/ ./testdata/service ./.ci/lab/empty

generate: bin/tools/protogen
	bin/tools/protogen . ipc/steadpb/stead.proto go connect-go:package_suffix=
	[ ! -f runtime/runtimepb/runtime.proto ] || bin/tools/protogen . runtime/runtimepb/runtime.proto go go-grpc

# Tools have modules of their own, so that their graphs do not move our versions.
# Go decides what is up to date.
bin/tools/protogen bin/tools/testreport: FORCE
	@mkdir -p bin/tools
	@cd .ci/tools/$(@F) && go build -buildvcs=false -o $(CURDIR)/$@ .

bin/tools/staticcheck: FORCE
	@mkdir -p bin/tools
	@cd .ci/tools/staticcheck && go build -buildvcs=false -o $(CURDIR)/$@ honnef.co/go/tools/cmd/staticcheck

bin/tools/clustertest: FORCE
	@mkdir -p bin/tools
	@cd plugins/kubernetes/clustertest && go build -buildvcs=false -ldflags '-X main.source=$(CURDIR)/plugins/kubernetes/clustertest' -o $(CURDIR)/$@ .

# The debugger that tests attach to services; without it they are skipped.
bin/tools/dlv: FORCE
	@mkdir -p bin/tools
	@cd .ci/tools/dlv && go build -buildvcs=false -o $(CURDIR)/$@ github.com/go-delve/delve/cmd/dlv

clean:
	rm -rf bin testdata/*/bin

FORCE:
.PHONY: build run test systemd uml cluster cluster-api cluster-build cluster-up cluster-down check check-format check-vet check-staticcheck check-generated check-tidy check-rules bench reload peers chaos lab generate clean FORCE
