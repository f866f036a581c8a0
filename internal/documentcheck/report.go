package documentcheck

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// Write writes the results in a format: json, or else a table.
func Write(w io.Writer, format string, results []Result) error {
	if format == "json" {
		return writeJSON(w, results)
	}
	return writeTable(w, results)
}

// Failures returns a line for each document that has no cost, or that may make more calls than maxCalls. 0: any number.
func Failures(results []Result, maxCalls int) (lines []string) {
	for _, r := range results {
		problem := r.Error
		switch {
		case maxCalls == 0:
		case r.Calls > maxCalls:
			problem = fmt.Sprintf("%s calls, more than %d", calls(r), maxCalls)
		case r.OrMore:
			problem = fmt.Sprintf("%s calls, perhaps more than %d", calls(r), maxCalls)
		}
		if problem != "" {
			lines = append(lines, title(r)+": "+problem)
		}
	}
	return lines
}

func writeJSON(w io.Writer, results []Result) error {
	if results == nil {
		results = []Result{}
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(results)
}

// writeTable writes the results. A document without a cost has dashes.
func writeTable(w io.Writer, results []Result) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "calls\trounds\tdepth\tvalues\tbytes\t  document")
	for _, r := range results {
		switch {
		case r.Error != "":
			fmt.Fprintf(table, "-\t-\t-\t-\t-\t  %s\n", title(r))
		case r.Planned:
			fmt.Fprintf(table, "%s\t%d\t%d\t-\t-\t  %s\n", calls(r), r.Rounds, r.Depth, title(r))
		default:
			fmt.Fprintf(table, "%d\t%d\t%d\t%d\t%d\t  %s\n", r.Calls, r.Rounds, r.Depth, r.Values, r.Bytes, title(r))
		}
	}
	return table.Flush()
}

// calls returns the number of calls, with a plus sign if there are more.
func calls(r Result) string {
	if r.OrMore {
		return strconv.Itoa(r.Calls) + "+"
	}
	return strconv.Itoa(r.Calls)
}

// title returns the name of a document, or else its id, and its file.
func title(r Result) string {
	name := r.Name
	if name == "" {
		name = r.ID
	}
	return fmt.Sprintf("%s (%s)", name, r.File)
}
