package fanout

import (
	"slices"
	"time"

	"github.com/consoleql/consoleql/graph/entity"
	"github.com/consoleql/consoleql/graph/listing"
	"github.com/consoleql/consoleql/graph/loader"
	"github.com/consoleql/consoleql/graph/selection"
	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/scope"
)

// RobotCounts counts the robots of an area; if queue is not empty, those of the queue.
func RobotCounts(l *loader.Loaders, area Area, queue string, s selection.Set) loader.Loaded {
	f := &fanOut[cc.Robot, cc.RobotFilter]{area: area, loaderOf: (*loader.Loaders).Robots, options: entity.HeadOptions[cc.RobotFilter]{
		Filter: cc.RobotFilter{AssociatedQueueID: cc.OptionalID(scope.Lower(queue))}, Whole: s.Selects("RobotCounts", "byStatus", "silent"),
	}}
	return loader.NewStaged(l, f.stages(), func() (*listing.RobotCounts, error) {
		answered, missing, err := f.collect(nil)
		if err != nil {
			return nil, err
		}
		counts := listing.NewRobotCounts(countOf(answered, missing))
		for _, r := range answered {
			counts.Add(listing.NewRobotTally(slices.Values(r.head.Items)), r.head.AsOf)
		}
		return counts, nil
	}, loader.VisitOne[listing.RobotCounts])
}

// WorkflowCounts counts the workflows of an area.
func WorkflowCounts(l *loader.Loaders, area Area, s selection.Set) loader.Loaded {
	return countMatching(l, area, (*loader.Loaders).Workflows, s.Selects("WorkflowCounts", "outdated"), func(c listing.Count, n int) *listing.WorkflowCounts {
		return &listing.WorkflowCounts{Count: c, Outdated: n}
	})
}

// PackageCounts counts the packages of an area.
func PackageCounts(l *loader.Loaders, area Area, s selection.Set) loader.Loaded {
	return countMatching(l, area, (*loader.Loaders).Packages, s.Selects("PackageCounts", "unused"), func(c listing.Count, n int) *listing.PackageCounts {
		return &listing.PackageCounts{Count: c, Unused: n}
	})
}

// QueueCounts counts the queues of an area.
func QueueCounts(l *loader.Loaders, area Area, s selection.Set) loader.Loaded {
	return countMatching(l, area, (*loader.Loaders).Queues, s.Selects("QueueCounts", "empty"), func(c listing.Count, n int) *listing.QueueCounts {
		return &listing.QueueCounts{Count: c, Empty: n}
	})
}

// countMatching counts the entities of a kind and, if walk is set, those whose predicate is true.
func countMatching[C, T any, F comparable](l *loader.Loaders, area Area, of func(*loader.Loaders) *entity.Loader[T, F], walk bool, counts func(listing.Count, int) *C) loader.Loaded {
	f := &fanOut[T, F]{area: area, loaderOf: of, withPredicate: walk, options: entity.HeadOptions[F]{Whole: walk}}
	return loader.NewStaged(l, f.stages(), func() (*C, error) {
		n, unknown := 0, false
		answered, missing, err := f.collect(func(r *departmentResult[T]) error {
			if !walk {
				return nil
			}
			some := 0
			for _, v := range r.head.Items {
				is, err := r.predicate.value(v)
				if err != nil {
					return err
				}
				if is != nil && *is {
					some++
				}
			}
			n += some
			unknown = unknown || r.predicate.isPartial != nil && r.predicate.isPartial()
			return nil
		})
		if err != nil {
			return nil, err
		}
		count := countOf(answered, missing)
		if unknown {
			count.Precision = listing.AtLeast
		}
		return counts(count, n), nil
	}, loader.VisitOne[C])
}

// countOf returns what all counts tell.
func countOf[T any](answered []*departmentResult[T], missing []*listing.UnavailableDepartment) listing.Count {
	c := listing.Count{Precision: listing.Exact, Unavailable: missing}
	var oldest time.Time
	for _, r := range answered {
		c.Total += r.head.Total
		if r.head.Truncated {
			c.Precision = listing.AtLeast
		}
		if oldest.IsZero() || r.head.AsOf.Before(oldest) {
			oldest = r.head.AsOf
		}
	}
	if oldest.IsZero() {
		oldest = time.Now() // no list was asked for
	}
	c.AsOf = cc.DateTime(oldest.UTC().Format(time.RFC3339))
	return c
}

// PackageUnused tells whether no workflow of a package's department runs it; nil if the list could not be read whole.
func PackageUnused(l *loader.Loaders, p *cc.Package) loader.Loaded {
	f := unused(l, p.Scope())
	return loader.NewStaged(l, []loader.Stage{f.begin}, func() (*bool, error) {
		return f.value(p)
	}, loader.VisitNone[*bool])
}
