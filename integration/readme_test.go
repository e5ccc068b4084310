package integration

import (
	"encoding/json"
	"fmt"
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

// Every number of the README's table is that of the committed result.
func TestReadmeTableIsMeasured(t *testing.T) {
	b, err := os.ReadFile("../bench/results/restarts.json")
	if err != nil {
		t.Fatal(err)
	}
	var r benchReport
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	text := readme(t)
	rows := 0
	for _, x := range r.Results {
		row := fmt.Sprintf("| %s | %s | %d | %d |", x.Method, x.Scenario, x.Requests, x.Lost)
		if !strings.Contains(text, row) {
			t.Errorf("the README lacks the measured row %s", row)
		}
		rows++
	}
	if rows < 10 {
		t.Errorf("the result has only %d rows", rows)
	}
}
