package oracle

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
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

// node returns the object of a nodeId.
func (ex *execution) node(text string) (any, error) {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, err
	}
	guid := func(i int) string {
		s := hex.EncodeToString(raw[1+16*i : 17+16*i])
		return strings.Join([]string{s[:8], s[8:12], s[12:16], s[16:20], s[20:]}, "-")
	}
	at, id, typ := requestScope{guid(0), guid(1)}, guid(2), string(raw[49:])
	var v any
	switch typ {
	case "Company":
		v, err = ex.company(ex.user, id)
	case "Department":
		v, err = ex.department(ex.user, at.company, id)
	default:
		v, err = ex.one(ex.user, at, strings.ToLower(typ)+"s", id)
	}
	if err != nil {
		return nil, err
	}
	found := v.(consoleObject)
	found.typ = typ
	return found, nil
}

// nodes returns the objects of nodeIds, and the errors of those that cannot be read.
func (ex *execution) nodes(ids []string) []any {
	all := make([]any, len(ids))
	for i, id := range ids {
		v, err := ex.node(id)
		if err != nil && !errors.Is(err, refusal("NOT_FOUND")) {
			v = err
		}
		all[i] = v
	}
	return all
}

// ofRobot returns the queues of a robot, or the workflows bound to it or to one of them.
func (ex *execution) ofRobot(of consoleObject, field string) ([]any, error) {
	has := func(list []any) bool {
		return slices.ContainsFunc(list, func(r any) bool { return strings.EqualFold(r.(consoleObject).text("id"), of.text("id")) })
	}
	queues, err := ex.list(ex.user, of.in, "queues", url.Values{})
	if err != nil {
		return nil, err
	}
	in, ids := []any{}, map[string]bool{}
	for _, v := range queues {
		id := v.(consoleObject).text("id")
		robots, err := ex.list(ex.user, of.in, "robots", url.Values{"AssociatedQueueId": {id}})
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
	workflows, err := ex.list(ex.user, of.in, "workflows", url.Values{})
	if err != nil {
		return nil, err
	}
	found := []any{}
	for _, v := range workflows {
		robots, err := ex.list(ex.user, of.in, "workflows/"+v.(consoleObject).text("id")+"/robots", url.Values{})
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
func (ex *execution) layoutsOf(of consoleObject) ([]any, error) {
	all, err := ex.list(ex.user, of.in, "workflowlayouts", url.Values{})
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
