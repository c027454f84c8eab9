package image

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/stead-dev/stead/runtime"
)

// machine is how ELF names an architecture.
type machine struct {
	id    elf.Machine
	order binary.ByteOrder
}

// machines are Go's architectures on Linux (go tool dist list). One that is
// missing is not checked.
func machines() map[string]machine {
	little, big := binary.LittleEndian, binary.BigEndian
	return map[string]machine{
		"386": {elf.EM_386, little}, "amd64": {elf.EM_X86_64, little}, "arm": {elf.EM_ARM, little}, "arm64": {elf.EM_AARCH64, little},
		"loong64": {elf.EM_LOONGARCH, little}, "riscv64": {elf.EM_RISCV, little}, "s390x": {elf.EM_S390, big},
		"ppc64": {elf.EM_PPC64, big}, "ppc64le": {elf.EM_PPC64, little},
	}
}

// check refuses what platform's kernel would refuse, or the image lacks a
// loader or interpreter for.
func (p *program) check(t *tree, based bool, platform v1.Platform) error {
	f, err := t.root.Open(p.entry.source)
	if err != nil {
		return fmt.Errorf("open the command's program: %w: %w", err, runtime.Invalid)
	}
	defer f.Close()
	var head [4]byte
	n, err := io.ReadFull(f, head[:])
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read %s: %w", p.entry.source, err)
	}
	switch {
	case bytes.HasPrefix(head[:n], []byte("#!")):
		if !based {
			return runtime.WithHint(fmt.Errorf("%s is a script, and there is no base image with its interpreter: %w", p.entry.source, runtime.Invalid),
				"name a base image that has it")
		}
		return nil
	case string(head[:n]) != elf.ELFMAG:
		return runtime.WithHint(fmt.Errorf("%s is %s: no program that %s could run: %w", p.entry.source, kind(head[:n]), platform.String(), runtime.Invalid),
			"build it for the cluster's machines: "+buildHint(platform))
	}
	return p.checkELF(f, based, platform)
}

// kind says what a file seems to be by its first bytes.
func kind(head []byte) string {
	switch {
	case bytes.HasPrefix(head, []byte("MZ")):
		return "an executable for Windows"
	case bytes.Equal(head, []byte{0xcf, 0xfa, 0xed, 0xfe}), bytes.Equal(head, []byte{0xca, 0xfe, 0xba, 0xbe}):
		return "an executable for macOS"
	case len(head) == 0:
		return "empty"
	}
	return "neither an ELF executable nor a script"
}

func (p *program) checkELF(f io.ReaderAt, based bool, platform v1.Platform) error {
	file, err := elf.NewFile(f)
	if err != nil {
		return fmt.Errorf("%s is a damaged executable: %w: %w", p.entry.source, err, runtime.Invalid)
	}
	want, known := machines()[platform.Architecture]
	if known && (file.Machine != want.id || file.ByteOrder != want.order) {
		return runtime.WithHint(fmt.Errorf("%s is for %s, and %s is wanted: %w", p.entry.source, file.Machine, platform.String(), runtime.Invalid),
			fmt.Sprintf("build it as %s, or as %s beside it: %s", p.file, variant(p.file, platform), buildHint(platform)))
	}
	for _, prog := range file.Progs {
		if prog.Type == elf.PT_INTERP && !based {
			return runtime.WithHint(fmt.Errorf("%s is linked dynamically, and there is no base image with its libraries: %w", p.entry.source, runtime.Invalid),
				"link it statically ("+buildHint(platform)+"), or name a base image")
		}
	}
	return nil
}
