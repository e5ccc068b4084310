package integration

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// Every piece of Go in the README stands in a file that is compiled.
func TestReadmeCodeIsCompiled(t *testing.T) {
	source := map[string]string{}
	for _, name := range []string{"../handoff/example_test.go", "../cmd/hello/main.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		source[name] = string(b)
	}
	blocks := regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	if len(blocks) == 0 {
		t.Fatal("the README shows no Go")
	}
next:
	for _, block := range blocks {
		for _, text := range source {
			if strings.Contains(text, strings.TrimSpace(block[1])) {
				continue next
			}
		}
		t.Errorf("no compiled file has this code of the README:\n%s", block[1])
	}
}

func TestReadmeIsShort(t *testing.T) {
	if n := strings.Count(readme(t), "\n"); n >= 200 {
		t.Errorf("%d lines, less than 200 are wanted", n)
	}
}
