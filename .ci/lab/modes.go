package main

import "errors"

func spineless(options) error { return errors.New("later") }
func fullDisk(options) error  { return errors.New("later") }
func readOnly(options) error  { return errors.New("later") }
