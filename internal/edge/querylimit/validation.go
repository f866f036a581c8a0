package querylimit

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/validator/core"
	"github.com/vektah/gqlparser/v2/validator/rules"

	"github.com/consoleql/consoleql/internal/fault"
)

const (
	// maxWalked bounds what the validator walks over, at some millions a second.
	maxWalked = 10 * maxFields
	// maxMessage bounds the bytes of an error that is told of a document; a longer one counts as several.
	maxMessage = 1000
	// maxCounted bounds the errors of a document that are counted beyond those that are told.
	maxCounted = 10_000
	// maxName bounds a name in a document, in bytes: an alias is written once for each object.
	maxName = 128
	// maxSuggested bounds the names and texts for which another is suggested: each is compared
	// with all of the schema that it might be, letter by letter.
	maxSuggested = 100
)

// ruleSelections is the validator's rule that a document breaks which is too dear to validate.
const ruleSelections = "SelectionsAreFew"

// ruleRest marks the error that counts those that validation does not list.
const ruleRest = "ErrorsAreFew"

// ValidationRules is one rule that stands for all of the specification: it looks at how large the
// document is before the others are asked, and asks no more of them when enough is told. Both
// names are those of rules that gqlgen would add.
//
// fields bounds the fields of one object.
func ValidationRules(fields int) func() *rules.Rules {
	return func() *rules.Rules {
		return rules.NewRules(
			core.Rule{Name: rules.FieldsOnCorrectTypeRule.Name, RuleFunc: func(document *core.Events, add core.AddErrFunc) { bounded(document, add, fields) }},
			core.Rule{Name: rules.ScalarLeafsRule.Name, RuleFunc: func(*core.Events, core.AddErrFunc) {}},
		)
	}
}

// bounded validates the document at the first event of gqlgen's walk, which comes before any
// selection.
func bounded(document *core.Events, add core.AddErrFunc, fields int) {
	asked := false
	document.OnDirectiveList(func(w *core.Walker, _ []*ast.Directive) {
		if asked {
			return
		}
		asked = true
		if v := (validating{add: add, fields: fields}); v.document(w.Schema, w.Document) {
			return
		}
		for _, op := range w.Document.Operations { // nobody needs them, and the walk goes on
			op.SelectionSet = nil
		}
		w.Document.Fragments = nil
	})
}

// validating is the validation of one document.
type validating struct {
	add    core.AddErrFunc
	fields int // that one object may have
	walker *core.Walker
	listed int // errors
	told   int // the same, long ones counted as several

	literals literals
}

// document says whether a document is valid.
func (v *validating) document(schema *ast.Schema, document *ast.QueryDocument) bool {
	blocks, wrong := scan(document.Operations[0].Position.Src.Input)
	if wrong != nil {
		v.report(ruleLexical, []core.ErrorOption{wrong.option()})
		return false
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
		v.refuse(ruleSelections, document.Operations[0].Position, "the document selects too much, what is in a fragment counted for each operation and fragment that spreads it")
		return false
	}
	if f := findCycle(document); f != nil {
		v.refuse(rules.NoFragmentCyclesRule.Name, f.Position, fmt.Sprintf("Cannot spread fragment %q within itself.", f.Name))
		return false
	}
	c := compared(document)
	if c.tooMany() {
		v.refuse(ruleSelections, document.Operations[0].Position, "the document selects the same fields too often")
		return false
	}
	v.walk(schema, document, specified(size.longest <= maxSuggested))
	if v.told == 0 && c.widest > v.fields {
		v.refuse(ruleSelections, document.Operations[0].Position, fmt.Sprintf("the document selects more than %d fields of one object, those of its fragments included", v.fields))
		return false
	}
	v.walk(schema, document, []core.Rule{rules.OverlappingFieldsCanBeMergedRule})
	if v.told >= maxErrors {
		v.reportRest(schema, document)
	}
	return v.told == 0
}

// reportRest tells how many errors were left out. It counts all of them without their texts.
func (v *validating) reportRest(schema *ast.Schema, document *ast.QueryDocument) {
	all := 0
	count := func(asked []core.Rule) {
		var walker *core.Walker
		events := &core.Events{}
		events.OnDirectiveList(func(w *core.Walker, _ []*ast.Directive) { walker = w })
		events.OnValue(func(_ *core.Walker, value *ast.Value) { v.literals.correct(value) })
		for _, rule := range asked {
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
		v.add(core.Message("%s%s", atLeast, leftOut(fault.ValidationFailed, left).Message), func(err *gqlerror.Error) { err.Rule = ruleRest })
	}
}

// specified are the other rules of the specification, in an order that stays.
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

// walk asks rules about the document until enough is told.
func (v *validating) walk(schema *ast.Schema, document *ast.QueryDocument, asked []core.Rule) {
	events := &core.Events{}
	events.OnDirectiveList(func(w *core.Walker, _ []*ast.Directive) { v.walker = w })
	v.literals.observe(events)
	for _, rule := range asked {
		rule.RuleFunc(events, func(options ...core.ErrorOption) { v.report(rule.Name, options) })
	}
	core.Walk(schema, document, events)
}

// report adds an error, unless there are enough: then nobody is asked any more.
func (v *validating) report(rule string, options []core.ErrorOption) {
	if v.told >= maxErrors {
		if v.walker != nil {
			v.walker.Observers = &core.Events{}
		}
		return
	}
	v.add(append(options, func(err *gqlerror.Error) {
		err.Rule = rule
		v.listed++
		v.told += 1 + len(err.Message)/maxMessage
		if len(err.Message) > maxMessage {
			err.Message = strings.ToValidUTF8(err.Message[:maxMessage], "")
		}
	})...)
}

func (v *validating) refuse(rule string, at *ast.Position, message string) {
	v.report(rule, []core.ErrorOption{core.Message("%s", message), core.At(at)})
}

// documentSize is how large a document is to the validator.
type documentSize struct {
	// walked are the selections, arguments and values that it walks over: from each operation
	// and from each fragment into all fragments that can be reached from there.
	walked  int
	longest int // name or text, in bytes
	name    int // the longest name, in bytes
}

// measureDocument looks at each part of a document once, and then at which lead to which, until it
// is certain that they are too many.
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
		if fragments[f.Name] == nil { // the validator takes the first of a name, too
			fragments[f.Name] = p
		}
	}
	var all documentSize
	for _, p := range parts {
		all.longest, all.name = max(all.longest, p.longest), max(all.name, p.name)
		for _, name := range p.spread {
			if f := fragments[name]; f != nil {
				p.leads = append(p.leads, f)
			}
		}
	}
	for _, p := range parts {
		if all.walked += p.reach(p); all.walked > maxWalked {
			break
		}
	}
	return all
}

// documentNode is an operation or a fragment.
type documentNode struct {
	size    int // of its own
	longest int
	name    int
	spread  []string
	leads   []*documentNode // where the spreads lead
	from    *documentNode   // from where it has been reached last
}

// reach is the size of all that can be reached from root by p.
func (p *documentNode) reach(root *documentNode) int {
	if p.from == root {
		return 0
	}
	p.from = root
	size := p.size
	for _, f := range p.leads {
		size += f.reach(root)
	}
	return size
}

// selections counts what is in a selection. What is below a field of introspection counts
// several times: a rule looks into each of these, wherever it stands.
func (p *documentNode) selections(set ast.SelectionSet, times int) {
	for _, s := range set {
		p.size += times
		switch s := s.(type) {
		case *ast.Field:
			p.named(s.Name)
			p.name = max(p.name, len(s.Alias)) // for which no other is suggested
			p.arguments(s.Arguments)
			p.directives(s.Directives)
			below := times
			if s.Name == "__schema" || s.Name == "__type" {
				below++
			}
			p.selections(s.SelectionSet, below)
		case *ast.InlineFragment:
			p.named(s.TypeCondition)
			p.directives(s.Directives)
			p.selections(s.SelectionSet, times)
		case *ast.FragmentSpread:
			p.directives(s.Directives)
			p.name = max(p.name, len(s.Name))
			p.spread = append(p.spread, s.Name)
		}
	}
}

func (p *documentNode) directives(list ast.DirectiveList) {
	for _, d := range list {
		p.size++
		p.name = max(p.name, len(d.Name))
		p.arguments(d.Arguments)
	}
}

func (p *documentNode) arguments(list ast.ArgumentList) {
	for _, a := range list {
		p.named(a.Name)
		p.value(a.Value)
	}
}

func (p *documentNode) value(v *ast.Value) {
	if v == nil {
		return
	}
	p.size++
	if v.Kind == ast.EnumValue || v.Kind == ast.Variable {
		p.named(v.Raw)
	}
	p.note(v.Raw)
	for _, child := range v.Children {
		p.named(child.Name)
		p.value(child.Value)
	}
}

func (p *documentNode) note(text string) { p.longest = max(p.longest, len(text)) }

func (p *documentNode) named(name string) {
	p.note(name)
	p.name = max(p.name, len(name))
}
