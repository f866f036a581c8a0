package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
)

// The data that the operations are measured on.
const (
	workflowsWanted = 50
	robotsWanted    = 3
)

// calibrations is how often an operation is sent to count its calls.
const calibrations = 5

// prepare sets up the console's data for the operations. With an uncached gateway, it records
// the operations' answers and their console calls.
func (c *console) prepare(ctx context.Context, g *gateway, ops []string) error {
	if err := c.addRobots(ctx, g); err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	for _, op := range ops {
		body, err := requestBody(query(op), nil)
		if err != nil {
			return err
		}
		// The first request lets the gateway detect the console's capabilities.
		if c.answers[op], c.answerHeader, err = c.ask(ctx, g, body); err != nil {
			return fmt.Errorf("prepare %s: %w", op, err)
		}
		calls, err := c.count(ctx, g, body)
		if err != nil {
			return fmt.Errorf("prepare %s: %w", op, err)
		}
		c.reads[op] = calls
	}
	calls, err := c.count(ctx, g, c.mutation)
	if err != nil {
		return fmt.Errorf("prepare the mutation: %w", err)
	}
	c.write = total(calls)
	return nil
}

// count sends a request a few times, and returns the console calls of one.
func (c *console) count(ctx context.Context, g *gateway, body string) (map[string]float64, error) {
	before, err := scrape(ctx, g.metrics)
	if err != nil {
		return nil, err
	}
	for range calibrations {
		if _, _, err := c.ask(ctx, g, body); err != nil {
			return nil, err
		}
	}
	after, err := scrape(ctx, g.metrics)
	if err != nil {
		return nil, err
	}
	calls := map[string]float64{}
	for kind, n := range after.since(before).calls {
		if n > 0 {
			calls[kind] = n / calibrations
		}
	}
	return calls, nil
}

// grant contains the answers of the preparing requests.
type grant struct {
	Data struct {
		Workflows struct {
			Nodes []struct {
				ID, Description string
				Robots          []entity
			}
		}
		Robots struct{ Nodes []entity }
	}
}

type entity struct{ ID string }

// addRobots assigns three robots to each workflow of the operations. The simulator's workflows
// have two or three.
func (c *console) addRobots(ctx context.Context, g *gateway) error {
	body, err := requestBody(fmt.Sprintf(`{ workflows(first: %d) { nodes { id description robots { id } } } robots(first: 500) { nodes { id } } }`, workflowsWanted), nil)
	if err != nil {
		return err
	}
	answer, _, err := c.ask(ctx, g, body)
	if err != nil {
		return err
	}
	var h grant
	if err := json.Unmarshal(answer, &h); err != nil {
		return err
	}
	workflows := h.Data.Workflows.Nodes
	if len(workflows) != workflowsWanted {
		return fmt.Errorf("the console has %d workflows, not %d", len(workflows), workflowsWanted)
	}
	for _, w := range workflows {
		var more []string
		for _, r := range h.Data.Robots.Nodes {
			if len(w.Robots)+len(more) < robotsWanted && !slices.Contains(w.Robots, r) {
				more = append(more, r.ID)
			}
		}
		if len(more) == 0 {
			continue
		}
		body, err := requestBody(`mutation($i: AddWorkflowRobotsInput!) { addWorkflowRobots(input: $i) { __typename } }`,
			map[string]any{"i": map[string]any{"workflowId": w.ID, "robotIds": more}})
		if err != nil {
			return err
		}
		if _, _, err := c.ask(ctx, g, body); err != nil {
			return err
		}
	}
	// The mutation of the mixed scenario sets the present values, so that all runs find the
	// same data.
	c.mutation, err = requestBody(`mutation($i: UpdateWorkflowInput!) { updateWorkflow(input: $i) { workflow { id } } }`,
		map[string]any{"i": map[string]any{"id": workflows[0].ID, "description": workflows[0].Description}})
	return err
}
