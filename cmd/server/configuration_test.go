package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

//go:generate go test -count=1 -run ^Test(Configuration|Caching)Document$ -update .

var update = flag.Bool("update", false, "write the documents that tests compare")

const configurationDocument = "../../docs/configuration.md"

// TestConfigurationDocument compares docs/configuration.md with the flags.
func TestConfigurationDocument(t *testing.T) {
	want := configuration(t)
	if *update {
		if err := os.WriteFile(configurationDocument, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(configurationDocument)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md differs from the flags: run make generate")
	}
}

// configuration returns the document of serve's settings, by group, in the order of the flags.
func configuration(t *testing.T) string {
	t.Helper()
	program, err := newProgram()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Written by "make generate" from the flags in cmd/server. Do not edit. -->

Every setting is a flag and an environment variable: ` + "`--console-url` is `CONSOLEQL_CONSOLE_URL`" + `. A flag wins over the environment.
` + "`consoleql config`" + ` prints the settings in force, with secrets masked. A duration is written as ` + "`90s`, `15m` or `1h30m`" + `.
`)
	group := ""
	for _, f := range flagsOfServe(t, program.parser.Model()) {
		if f.Group == nil {
			t.Errorf("--%s has no group", f.Name)
			continue
		}
		if f.Group.Key != group {
			group = f.Group.Key
			fmt.Fprintf(&b, "\n## %s\n\n| environment | default | meaning |\n| --- | --- | --- |\n", group)
		}
		if f.Help == "" || len(f.Envs) != 1 {
			t.Errorf("--%s has no help, or no environment variable", f.Name)
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.Envs[0], defaultOf(f), cell(f))
	}
	return b.String()
}

// flagsOfServe returns the flags of serve without --help.
func flagsOfServe(t *testing.T, app *kong.Application) []*kong.Flag {
	t.Helper()
	for _, node := range app.Children {
		if node.Name == "serve" {
			return node.Flags
		}
	}
	t.Fatal("there is no command serve")
	return nil
}

func defaultOf(f *kong.Flag) string {
	if !f.HasDefault || f.Default == "" {
		return ""
	}
	return "`" + f.Default + "`"
}

// cell returns a flag's help as a table cell, with an example of its value if there is one.
func cell(f *kong.Flag) string {
	text := f.Help
	if f.Enum != "" {
		text = strings.ReplaceAll(text, "("+f.Enum+")", "(`"+strings.ReplaceAll(f.Enum, ",", "`, `")+"`)")
	}
	if strings.Contains(f.PlaceHolder, "://") {
		text += " For example `" + f.PlaceHolder + "`."
	}
	return text
}
