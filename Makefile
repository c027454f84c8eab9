# What each target does is said in README.md.
generate:
	cd .ci/tools/protogen && go build -o $(CURDIR)/bin/protogen .
	bin/protogen . ipc/steadpb/stead.proto go connect-go:package_suffix=
	[ ! -f runtime/runtimepb/runtime.proto ] || bin/protogen . runtime/runtimepb/runtime.proto go go-grpc
.PHONY: generate
