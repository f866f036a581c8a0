package querylimit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// maxWalked bounds the nodes that the validator visits, some millions per second.
	maxWalked = 10 * maxFields
	// maxMessage bounds the bytes of an error in a document; a longer one counts as several.
	maxMessage = 1000
	// maxCounted bounds the errors of a document that are counted but not listed.
	maxCounted = 10_000
	// maxName bounds a name in a document, in bytes. Each object of the answer repeats an
	// alias.
	maxName = 128
	// maxSuggested bounds the names for which the validator suggests another. It compares each
	// with all similar names of the schema, letter by letter.
	maxSuggested = 100
)

// ruleSelections names the rule that a document breaks if its validation is too expensive.
const ruleSelections = "SelectionsAreFew"

// ruleRest marks the error with the number of errors that validation does not list.
const ruleRest = "ErrorsAreFew"

// ValidationRules returns one rule that replaces all rules of the specification. It checks the
// document's size before the others run, and stops them at the error limit. Its names are
// those of rules that gqlgen would add. fields bounds the fields of one object. suggesting is
// whether errors suggest names of the schema.
func ValidationRules(fields int, suggesting bool) func() *rules.Rules {
	return func() *rules.Rules {
		return rules.NewRules(
			core.Rule{Name: rules.FieldsOnCorrectTypeRule.Name, RuleFunc: func(document *core.Events, add core.AddErrFunc) {
				bounded(document, validating{add: add, fields: fields, suggesting: suggesting})
			}},
			core.Rule{Name: rules.ScalarLeafsRule.Name, RuleFunc: func(*core.Events, core.AddErrFunc) {}},
		)
	}
}

// Parse parses and validates a document like a request's.
func Parse(schema *ast.Schema, text string, l Limits) (*ast.QueryDocument, gqlerror.List) {
	l = l.WithDefaults()
	document, err := parser.ParseQueryWithTokenLimit(&ast.Source{Input: text}, l.Tokens)
	if err != nil {
		return nil, gqlerror.List{gqlerror.WrapIfUnwrapped(err)}
	}
	if len(document.Operations) == 0 {
		return nil, gqlerror.List{gqlerror.Errorf("no operation provided")}
	}
	if errs := validator.ValidateWithRules(schema, document, ValidationRules(l.Fields, !l.NoIntrospection)()); len(errs) > 0 {
		return nil, errs
	}
	return document, nil
}

// bounded validates the document at the first event of gqlgen's walk, before any selection.
//
// gqlgen's walk visits all values after the last rule. It clears their variable definitions: a fragment has that of only one
// operation, whose default another operation would get.
func bounded(document *core.Events, v validating) {
	document.OnValue(func(_ *core.Walker, value *ast.Value) { value.VariableDefinition = nil })
	applied := false
	document.OnDirectiveList(func(w *core.Walker, _ []*ast.Directive) {
		if applied {
			return
		}
		applied = true
		if v.document(w.Schema, w.Document) {
			return
		}
		for _, op := range w.Document.Operations { // they are not needed, and the walk continues
			op.SelectionSet = nil
		}
		w.Document.Fragments = nil
	})
}

// validating is the validation of one document.
type validating struct {
	add        core.AddErrFunc
	fields     int // limit of fields of one object
	suggesting bool
	walker     *core.Walker
	listed     int // number of errors
	weight     int // the same, with long ones counted as several

	literals literals
}

// document reports whether a document is valid.
func (v *validating) document(schema *ast.Schema, document *ast.QueryDocument) bool {
	blocks, wrong := scan(document.Operations[0].Position.Src.Input)
	if wrong != nil {
		v.report(ruleLexical, []core.ErrorOption{wrong.option()})
		return false
	}
	for _, f := range document.Fragments {
		if len(f.VariableDefinition) > 0 { // gqlparser reads what the specification dropped
			at := f.VariableDefinition[0].Position
			wrong = &lexicalError{line: at.Line, column: at.Column, message: `Expected "on", found "(".`}
			v.report(ruleLexical, []core.ErrorOption{wrong.option()})
			return false
		}
	}
	v.literals = literals{blocks: blocks, wrong: make(map[*ast.Value]bool), found: make(map[*ast.Value]bool), refuse: func(rule string, at *ast.Position, message, argument string) {
		v.report(rule, []core.ErrorOption{core.Message("%s: %s", argument, message), core.At(at), func(err *gqlerror.Error) {
			err.Extensions = map[string]any{"argument": argument}
		}})
	}}
	size := measureDocument(document)
	if size.name > maxName {
		v.refuse(ruleSelections, document.Operations[0].Position, fmt.Sprintf("the document holds a name of more than %d characters", maxName))
		return false
	}
	if size.walked > maxWalked {
		v.refuse(ruleSelections, document.Operations[0].Position, "the document selects too much; a fragment counts once for each operation and fragment that spreads it")
		return false
	}
	if f := findCycle(document); f != nil {
		v.refuse(rules.NoFragmentCyclesRule.Name, f.Position, fmt.Sprintf("Cannot spread fragment %q within itself.", f.Name))
		return false
	}
	c := countComparisons(document)
	if c.tooMany() {
		v.refuse(ruleSelections, document.Operations[0].Position, "the document selects the same fields too often")
		return false
	}
	v.walk(schema, document, specified(v.suggesting && size.longest <= maxSuggested))
	if v.weight == 0 && c.widest > v.fields {
		v.refuse(ruleSelections, document.Operations[0].Position, fmt.Sprintf("the document selects more than %d fields of one object, those of its fragments included", v.fields))
		return false
	}
	v.walk(schema, document, []core.Rule{rules.OverlappingFieldsCanBeMergedRule})
	if v.weight >= maxErrors {
		v.reportRest(schema, document)
	}
	return v.weight == 0
}

// reportRest reports the number of omitted errors. It counts them without their texts.
func (v *validating) reportRest(schema *ast.Schema, document *ast.QueryDocument) {
	all := 0
	count := func(applied []core.Rule) {
		var walker *core.Walker
		events := &core.Events{}
		events.OnDirectiveList(func(w *core.Walker, _ []*ast.Directive) { walker = w })
		events.OnValue(func(_ *core.Walker, value *ast.Value) { v.literals.correct(value) })
		for _, rule := range applied {
			rule.RuleFunc(events, func(...core.ErrorOption) {
				if all++; all >= maxCounted && walker != nil {
					walker.Observers = &core.Events{}
				}
			})
		}
		core.Walk(schema, document, events)
	}
	count(specified(false))
	count([]core.Rule{rules.OverlappingFieldsCanBeMergedRule})
	if left := all + len(v.literals.found) - v.listed; left > 0 {
		atLeast := ""
		if all >= maxCounted {
			atLeast = "at least "
		}
		v.add(core.Message("%s%s", atLeast, omittedErrors(fault.ValidationFailed, left).Message), func(err *gqlerror.Error) { err.Rule = ruleRest })
	}
}

// specified returns the other rules of the specification, in a fixed order.
func specified(suggesting bool) []core.Rule {
	all := rules.NewDefaultRules()
	all.RemoveRule(rules.NoFragmentCyclesRule.Name)
	all.RemoveRule(rules.OverlappingFieldsCanBeMergedRule.Name)
	if !suggesting {
		all.ReplaceRule(rules.FieldsOnCorrectTypeRule.Name, rules.FieldsOnCorrectTypeRuleWithoutSuggestions.RuleFunc)
		all.ReplaceRule(rules.KnownArgumentNamesRule.Name, rules.KnownArgumentNamesRuleWithoutSuggestions.RuleFunc)
		all.ReplaceRule(rules.KnownTypeNamesRule.Name, rules.KnownTypeNamesRuleWithoutSuggestions.RuleFunc)
		all.ReplaceRule(rules.ScalarLeafsRule.Name, rules.ScalarLeafsRuleWithoutSuggestions.RuleFunc)
		all.ReplaceRule(rules.ValuesOfCorrectTypeRule.Name, rules.ValuesOfCorrectTypeRuleWithoutSuggestions.RuleFunc)
	}
	inner := all.GetInner()
	ordered := make([]core.Rule, 0, len(inner))
	for _, name := range slices.Sorted(maps.Keys(inner)) {
		ordered = append(ordered, core.Rule{Name: name, RuleFunc: inner[name]})
	}
	return ordered
}

// walk applies rules to the document until the error limit.
func (v *validating) walk(schema *ast.Schema, document *ast.QueryDocument, applied []core.Rule) {
	events := &core.Events{}
	events.OnDirectiveList(func(w *core.Walker, _ []*ast.Directive) { v.walker = w })
	v.literals.observe(events)
	for _, rule := range applied {
		rule.RuleFunc(events, func(options ...core.ErrorOption) { v.report(rule.Name, options) })
	}
	core.Walk(schema, document, events)
}

// report adds an error, or stops the rules at the error limit.
func (v *validating) report(rule string, options []core.ErrorOption) {
	if v.weight >= maxErrors {
		if v.walker != nil {
			v.walker.Observers = &core.Events{}
		}
		return
	}
	v.add(append(options, func(err *gqlerror.Error) {
		err.Rule = rule
		v.listed++
		v.weight += 1 + len(err.Message)/maxMessage
		if len(err.Message) > maxMessage {
			err.Message = strings.ToValidUTF8(err.Message[:maxMessage], "")
		}
	})...)
}

func (v *validating) refuse(rule string, at *ast.Position, message string) {
	v.report(rule, []core.ErrorOption{core.Message("%s", message), core.At(at)})
}

// documentSize is the size of a document for the validator.
type documentSize struct {
	// visited selections, arguments and values: the validator walks from each operation and
	// each fragment into all reachable fragments
	walked  int
	longest int // length of the longest name or text, in bytes
	name    int // length of the longest name, in bytes
}

// measureDocument visits each part of a document once, and then the reachability of fragments,
// until the limit is exceeded.
func measureDocument(document *ast.QueryDocument) documentSize {
	parts := make([]*documentNode, 0, len(document.Operations)+len(document.Fragments))
	fragments := make(map[string]*documentNode, len(document.Fragments))
	for _, op := range document.Operations {
		p := &documentNode{}
		p.named(op.Name)
		for _, v := range op.VariableDefinitions {
			p.named(v.Variable)
			p.named(v.Type.Name())
			p.value(v.DefaultValue)
			p.directives(v.Directives)
		}
		p.directives(op.Directives)
		p.selections(op.SelectionSet, 1)
		parts = append(parts, p)
	}
	for _, f := range document.Fragments {
		p := &documentNode{}
		p.named(f.Name)
		p.named(f.TypeCondition)
		p.directives(f.Directives)
		p.selections(f.SelectionSet, 1)
		parts = append(parts, p)
		if fragments[f.Name] == nil { // like the validator, take the first of a name
			fragments[f.Name] = p
		}
	}
	var all documentSize
	for _, p := range parts {
		all.longest, all.name = max(all.longest, p.longest), max(all.name, p.name)
		for _, name := range p.spread {
			if f := fragments[name]; f != nil {
				p.spreadTargets = append(p.spreadTargets, f)
			}
		}
	}
	for _, p := range parts {
		if all.walked += p.reachableSize(p); all.walked > maxWalked {
			break
		}
	}
	return all
}

// documentNode is an operation or a fragment.
type documentNode struct {
	size          int // without spreads
	longest       int
	name          int
	spread        []string
	spreadTargets []*documentNode // targets of its spreads
	from          *documentNode   // the last root that has reached it
}

// reachableSize returns the size of all nodes that n can reach from root.
func (n *documentNode) reachableSize(root *documentNode) int {
	if n.from == root {
		return 0
	}
	n.from = root
	size := n.size
	for _, f := range n.spreadTargets {
		size += f.reachableSize(root)
	}
	return size
}

// selections counts the nodes of a selection. Those below an introspection field count several
// times, since a rule visits them from each such field.
func (n *documentNode) selections(set ast.SelectionSet, times int) {
	for _, s := range set {
		n.size += times
		switch s := s.(type) {
		case *ast.Field:
			n.named(s.Name)
			n.name = max(n.name, len(s.Alias)) // the validator suggests no other alias
			n.arguments(s.Arguments)
			n.directives(s.Directives)
			below := times
			if s.Name == "__schema" || s.Name == "__type" {
				below++
			}
			n.selections(s.SelectionSet, below)
		case *ast.InlineFragment:
			n.named(s.TypeCondition)
			n.directives(s.Directives)
			n.selections(s.SelectionSet, times)
		case *ast.FragmentSpread:
			n.directives(s.Directives)
			n.name = max(n.name, len(s.Name))
			n.spread = append(n.spread, s.Name)
		}
	}
}

func (n *documentNode) directives(list ast.DirectiveList) {
	for _, d := range list {
		n.size++
		n.name = max(n.name, len(d.Name))
		n.arguments(d.Arguments)
	}
}

func (n *documentNode) arguments(list ast.ArgumentList) {
	for _, a := range list {
		n.named(a.Name)
		n.value(a.Value)
	}
}

func (n *documentNode) value(v *ast.Value) {
	if v == nil {
		return
	}
	n.size++
	if v.Kind == ast.EnumValue || v.Kind == ast.Variable {
		n.named(v.Raw)
	}
	n.note(v.Raw)
	for _, child := range v.Children {
		n.named(child.Name)
		n.value(child.Value)
	}
}

func (n *documentNode) note(text string) { n.longest = max(n.longest, len(text)) }

func (n *documentNode) named(name string) {
	n.note(name)
	n.name = max(n.name, len(name))
}
