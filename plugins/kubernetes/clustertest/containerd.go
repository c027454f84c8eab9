//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// importImages puts OCI or Docker archives into the node's containerd. Its
// socket is a file that this machine sees too.
func (c *cluster) importImages(files ...string) error {
	for _, f := range files {
		cmd := exec.Command("ctr", "-a", c.Containerd, "-n", c.Namespace, "images", "import", f)
		cmd.Stdout = os.Stderr
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("import %s: %w", f, err)
		}
	}
	return nil
}

// importSandbox does not work until containerd is up.
func (c *cluster) importSandbox(context.Context) error {
	if _, err := os.Stat(c.Containerd); err != nil {
		return err
	}
	image := c.path("pause.tar")
	if err := writeImage(sandbox, image, "", []string{"/pause=" + c.binaries["pause"]}); err != nil {
		return err
	}
	return c.importImages(image)
}
