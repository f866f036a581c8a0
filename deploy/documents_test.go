package deploy_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
)

const operationsDocument = "../docs/operations.md"

// TestAlertsAreDocumented compares the table of alerts in docs/operations.md with the rules.
func TestAlertsAreDocumented(t *testing.T) {
	t.Parallel()
	documented := make(map[string]bool)
	for _, row := range regexp.MustCompile("(?m)^\\| `(ConsoleQL[A-Za-z]+)` \\| .+ \\| .+ \\|$").FindAllStringSubmatch(readText(t, operationsDocument), -1) {
		documented[row[1]] = true
	}
	for _, a := range alerts(t) {
		if !documented[a.Alert] {
			t.Errorf("%s has no row with meaning and action", a.Alert)
		}
		delete(documented, a.Alert)
	}
	for name := range documented {
		t.Errorf("there is no alert %s", name)
	}
}

// TestGrafanaRecipe sends the query of the recipe for Grafana, and reads the rows and columns that it names.
func TestGrafanaRecipe(t *testing.T) {
	t.Parallel()
	_, recipe, _ := strings.Cut(readText(t, operationsDocument), "\n## A GraphQL query in Grafana\n")
	query := regexp.MustCompile("(?s)```graphql\n(.*?)```").FindStringSubmatch(recipe)
	root := regexp.MustCompile("\"Rows/Root\" to `([a-zA-Z.]+)`, and the columns `([a-zA-Z]+)` \\(string\\) and `([a-zA-Z]+)` \\(number\\)").FindStringSubmatch(recipe)
	if query == nil || root == nil {
		t.Fatal("the recipe has no query, or names no rows")
	}
	var value any
	if err := json.Unmarshal([]byte(serve(t, simulator(t), nil).ask(query[1])), &value); err != nil {
		t.Fatal(err)
	}
	for name := range strings.SplitSeq(root[1], ".") {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	rows, _ := value.([]any)
	for _, row := range rows {
		columns, _ := row.(map[string]any)
		_, isText := columns[root[2]].(string)
		if _, isNumber := columns[root[3]].(float64); !isText || !isNumber {
			t.Errorf("the row is %v", row)
		}
	}
	if len(rows) == 0 {
		t.Error("there are no rows")
	}
}
