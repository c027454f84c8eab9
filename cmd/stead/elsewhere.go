package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/stead-dev/stead/ipc"
	"github.com/stead-dev/stead/ipc/steadpb"
	"github.com/stead-dev/stead/runtime"
)

// Each environment of a manifest has a daemon of its own. Which one is meant
// is known by the place of the manifest; what is in it only daemons read.

// localEnvironment is the one at home.
const localEnvironment = "local"

// atHome reports whether the daemon at home is meant.
func (c *cli) atHome() bool { return c.target == "" || c.target == localEnvironment }

// home is that of the daemon that is meant.
func (c *cli) home() (ipc.Home, error) {
	home, err := ipc.ResolveHome()
	if err != nil || c.atHome() {
		return home, err
	}
	file, err := c.manifest()
	if err != nil {
		return home, err
	}
	return home.In(c.target, file), nil
}

// manifest is the file that the daemon of an environment is for.
func (c *cli) manifest() (string, error) {
	if strings.ContainsAny(c.target, "/\x00") || strings.HasPrefix(c.target, ".") {
		return "", usage("%q is not a name of an environment", c.target)
	}
	file, err := absolute(c.file)
	if err != nil {
		return "", err
	}
	if file == "" {
		if file, err = nearestManifest(); err != nil {
			return "", err
		}
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(file))
	if err != nil {
		return "", fmt.Errorf("find the manifest: %w", err)
	}
	return filepath.Join(directory, filepath.Base(file)), nil
}

// nearestManifest looks for stead.yaml in this directory and its parents, as
// the daemon does.
func nearestManifest() (string, error) {
	const name = "stead.yaml"
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for directory := here; ; directory = filepath.Dir(directory) {
		file := filepath.Join(directory, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() {
			return file, nil
		}
		if directory == filepath.Dir(directory) {
			return "", runtime.WithHint(fmt.Errorf("no %s in %s or above it: %w", name, here, runtime.NotFound),
				"an environment is that of a project: go to its directory")
		}
	}
}

// daemonArguments are those of the daemon that is meant.
func (c *cli) daemonArguments() ([]string, error) {
	if c.atHome() {
		return nil, nil
	}
	file, err := c.manifest()
	if err != nil {
		return nil, err
	}
	return []string{"--environment", c.target, "--manifest", file}, nil
}

// aimed reports whether an environment has been used before: what runs there
// goes on without a daemon, and only one can tell of it.
func (c *cli) aimed(home ipc.Home) bool {
	if c.atHome() {
		return false
	}
	_, err := os.Stat(filepath.Join(home.State, "target.json"))
	return err == nil
}

// verb is a command line for a hint, for the daemon that is meant.
func (c *cli) verb(verb string) string {
	if c.atHome() {
		return "stead " + verb
	}
	return "stead --env " + c.target + " " + verb
}

// ownVerbs are command lines that mean the daemon they are given to.
var ownVerbs = regexp.MustCompile(`\bstead (attach|build|daemon|diff|down|env|events|exec|logs|render|restart|run|status|up|why)\b`)

// aim has the command lines in a hint name the environment that is meant:
// who writes a hint does not know for which daemon it is.
func (c *cli) aim(hint string) string {
	if c.atHome() {
		return hint
	}
	return ownVerbs.ReplaceAllString(hint, "stead --env "+strings.ReplaceAll(c.target, "$", "$$")+" $1")
}

// agree returns the context that the user agrees to deploy to; empty where no
// word is needed.
func (c *cli) agree(ctx context.Context, client steadpb.DaemonClient, request *steadpb.UpRequest, yes bool) (string, error) {
	answer, err := client.Environments(ctx, &steadpb.EnvironmentsRequest{
		Directory: request.Directory, File: request.File, Environment: request.Environment,
	})
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(answer.Environments, func(e *steadpb.Environment) bool { return e.Name == c.target })
	if i < 0 || answer.Environments[i].Agreed {
		return "", nil // where it is unknown, the request itself says so best
	}
	to := answer.Environments[i]
	if yes {
		return to.Context, nil
	}
	question := fmt.Sprintf("%s is not bound to a context in the manifest. Deploy to %s, namespace %s?", c.target, to.Context, to.Namespace)
	agreed, err := c.ask(question)
	if err == nil && !agreed {
		err = ended{exitError, runtime.WithHint(errors.New("nothing was changed"), "write context: into environments: "+c.target+" to bind it to another one")}
	}
	return to.Context, err
}

// ask puts a question to the user; off a terminal there is nobody to answer.
func (c *cli) ask(question string) (bool, error) {
	if _, ok := terminal(c.in); !ok {
		return false, runtime.WithHint(errors.New(strings.TrimSuffix(question, "?")+": nobody is here to agree"), "add --yes")
	}
	fmt.Fprint(c.err, question+" [y/N] ")
	line, _ := bufio.NewReader(c.in).ReadString('\n') // no answer is a no
	word := strings.ToLower(strings.TrimSpace(line))
	return word == "y" || word == "yes", nil
}

// remove stops services in another environment, once the user has agreed. With
// all of them goes what there is for the project as a whole, and the daemon,
// which nobody needs then.
func (c *cli) remove(ctx context.Context, client steadpb.DaemonClient, sel *steadpb.Selection, yes bool) error {
	if err := c.agreeToRemoval(ctx, client, sel.Services, yes); err != nil {
		return err
	}
	if err := c.stopServices(ctx, client, sel); err != nil || len(sel.Services) > 0 {
		return err
	}
	home, err := c.home()
	if err == nil {
		_, err = c.endDaemonOf(ctx, home, client, true, stopLimit)
	}
	return err
}

// agreeToRemoval shows what there is of services, and asks whether it is to go.
func (c *cli) agreeToRemoval(ctx context.Context, client steadpb.DaemonClient, services []string, yes bool) error {
	answer, err := client.Preview(ctx, &steadpb.PreviewRequest{Kind: string(runtime.PreviewRemove)})
	if err != nil {
		return err
	}
	objects := slices.DeleteFunc(answer.Objects, func(o *steadpb.PreviewObject) bool {
		return len(services) > 0 && !slices.Contains(services, o.Service)
	})
	if len(objects) == 0 {
		return nil
	}
	c.printObjects(objects)
	if yes {
		return nil
	}
	agreed, err := c.ask(fmt.Sprintf("Remove %s from %s?", plural(len(objects), "object"), c.target))
	if err == nil && !agreed {
		err = ended{exitError, errors.New("nothing was changed")}
	}
	return err
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
