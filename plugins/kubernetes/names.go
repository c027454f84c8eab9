package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/stead-dev/stead/runtime"
)

// Labels of all objects that are stead's. Values are made by labelValue.
const (
	labelManagedBy  = "app.kubernetes.io/managed-by"
	labelName       = "app.kubernetes.io/name"
	labelPartOf     = "app.kubernetes.io/part-of"
	labelVersion    = "app.kubernetes.io/version"
	labelProject    = "stead.dev/project"
	labelService    = "stead.dev/service"
	labelGeneration = "stead.dev/generation"
)

// Annotations.
const (
	annotationHash     = "stead.dev/hash"     // Spec.Hash of a generation
	annotationSpec     = "stead.dev/spec"     // record, as JSON
	annotationApplied  = "stead.dev/applied"  // digest of what was applied last
	annotationReplicas = "stead.dev/replicas" // that a generation began with: another number now is somebody's wish
	annotationEnd      = "stead.dev/end"      // of a generation that ended for good: its GenerationStatus, as JSON
)

// manager is the field manager, and the value of labelManagedBy.
const manager = "stead"

// Limits of names, by what they become: a label's value, a DNS label, the name
// of a port.
const (
	maxLabel = 63
	maxPort  = 15
)

// ObjectName is the name of a service's objects, also the host name by which
// others reach it: the service's own name wherever that is a valid one.
func ObjectName(service string) string { return runtime.HostName(service) }

// generationName is the name of a generation's Deployment or Job.
func generationName(id runtime.ID) string {
	return ObjectName(id.Service) + "-" + strconv.FormatUint(id.Number, 10)
}

// dnsLabel makes a valid RFC 1035 label of any name. What had to be changed or
// cut gets a hash of all of it, so that two names never become one.
func dnsLabel(name string, most int) string {
	valid := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	valid = strings.Trim(valid, "-")
	if valid == "" || valid[0] >= '0' && valid[0] <= '9' {
		valid = "s" + valid
	}
	return mark(name, valid, most)
}

// labelValue makes a valid label value of any text, likewise.
func labelValue(text string) string {
	valid := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r >= 'A' && r <= 'Z', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, text)
	return mark(text, strings.Trim(valid, "-_."), maxLabel)
}

// portName makes a valid name of a port, likewise: no more than 15 characters,
// one of them a letter, and no two hyphens in a row.
func portName(name string) string {
	valid := dnsLabel(name, maxLabel)
	for strings.Contains(valid, "--") {
		valid = strings.ReplaceAll(valid, "--", "-")
	}
	return mark(name, valid, maxPort)
}

// mark returns valid, with a hash of name where they differ or it is too long.
func mark(name, valid string, most int) string {
	if valid == name && len(valid) <= most {
		return valid
	}
	const digits = 6
	if keep := most - digits - 1; len(valid) > keep {
		valid = strings.TrimRight(valid[:keep], "-_.")
	}
	sum := sha256.Sum256([]byte(name))
	if valid == "" {
		return "s" + hex.EncodeToString(sum[:])[:digits]
	}
	return valid + "-" + hex.EncodeToString(sum[:])[:digits]
}

// serviceLabels select all objects of a service.
func serviceLabels(id runtime.ID) map[string]string {
	return map[string]string{labelProject: labelValue(id.Project), labelService: labelValue(id.Service)}
}

// generationLabels select the pods of a generation.
func generationLabels(id runtime.ID) map[string]string {
	labels := serviceLabels(id)
	labels[labelGeneration] = strconv.FormatUint(id.Number, 10)
	return labels
}

// allLabels are what an object carries: the selecting ones, and those by which
// other tools know their way.
func allLabels(id runtime.ID) map[string]string {
	labels := serviceLabels(id)
	if id.Number > 0 {
		labels = generationLabels(id)
		labels[labelVersion] = labels[labelGeneration]
	}
	labels[labelManagedBy] = manager
	labels[labelName] = labels[labelService]
	labels[labelPartOf] = labels[labelProject]
	return labels
}
