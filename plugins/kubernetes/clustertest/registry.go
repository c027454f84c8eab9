//go:build linux

package main

import (
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
)

// registryCommand serves images over HTTP, in the node. Layers are on the disk.
func registryCommand(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: clustertest registry ADDRESS FOLDER")
	}
	if err := os.MkdirAll(args[1], 0o700); err != nil {
		return err
	}
	s := http.Server{
		Addr:              args[0],
		Handler:           registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(args[1])), registry.Logger(log.New(io.Discard, "", 0))),
		ReadHeaderTimeout: 10 * time.Second,
	}
	return s.ListenAndServe()
}
