package oracle

import (
	"encoding/base64"
	"encoding/hex"
	"net/url"
	"slices"
	"strings"
)

// nodeID returns the opaque id of an object, which clients cannot construct.
func nodeID(typ string, of consoleObject) string {
	raw := []byte{1}
	department := of.in.department
	if typ == "Company" {
		department = ""
	}
	for _, id := range []string{of.in.company, department, of.text("id")} {
		guid, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
		if err != nil || len(guid) == 0 {
			guid = make([]byte, 16)
		}
		raw = append(raw, guid...)
	}
	return base64.RawURLEncoding.EncodeToString(append(raw, typ...))
}

// ofRobot returns the queues of a robot, or the workflows bound to it or to one of them.
func (q *execution) ofRobot(of consoleObject, field string) ([]any, error) {
	has := func(list []any) bool {
		return slices.ContainsFunc(list, func(r any) bool { return strings.EqualFold(r.(consoleObject).text("id"), of.text("id")) })
	}
	queues, err := q.list(q.user, of.in, "queues", url.Values{})
	if err != nil {
		return nil, err
	}
	in, ids := []any{}, map[string]bool{}
	for _, v := range queues {
		id := v.(consoleObject).text("id")
		robots, err := q.list(q.user, of.in, "robots", url.Values{"AssociatedQueueId": {id}})
		if err != nil {
			return nil, err
		}
		if has(robots) {
			in, ids[strings.ToLower(id)] = append(in, v), true
		}
	}
	if field == "queues" {
		return in, nil
	}
	workflows, err := q.list(q.user, of.in, "workflows", url.Values{})
	if err != nil {
		return nil, err
	}
	found := []any{}
	for _, v := range workflows {
		robots, err := q.list(q.user, of.in, "workflows/"+v.(consoleObject).text("id")+"/robots", url.Values{})
		if err != nil {
			return nil, err
		}
		if has(robots) || ids[strings.ToLower(v.(consoleObject).text("associatedqueueid"))] {
			found = append(found, v)
		}
	}
	return found, nil
}

// layoutsOf returns the layouts that run a workflow.
func (q *execution) layoutsOf(of consoleObject) ([]any, error) {
	all, err := q.list(q.user, of.in, "workflowlayouts", url.Values{})
	if err != nil {
		return nil, err
	}
	found := []any{}
	for _, v := range all {
		nodes, _ := v.(consoleObject).fields["nodes"].([]any)
		if slices.ContainsFunc(nodes, func(n any) bool {
			return strings.EqualFold(consoleObject{fields: n.(map[string]any)}.text("workflowid"), of.text("id"))
		}) {
			found = append(found, v)
		}
	}
	return found, nil
}
