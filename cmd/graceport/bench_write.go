package main

import (
	"errors"
	"fmt"
	"io"
	"os"
)

func writeFile(name string, write func(io.Writer) error) (err error) {
	file, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("result file: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	return write(file)
}
