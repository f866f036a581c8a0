package listing

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// TestMerge verifies the order of merged lists: equal moments keep the order of their list, and entities without one count
// as the oldest.
func TestMerge(t *testing.T) {
	t.Parallel()
	const early, late = "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"
	e := Entity[cc.Queue]{ID: func(q *cc.Queue) string { return q.ID }, Name: func(q *cc.Queue) string { return q.Name }, CreatedAt: func(q *cc.Queue) cc.DateTime { return q.CreatedAt }}
	queue := func(id string, created cc.DateTime) *cc.Queue { return &cc.Queue{ID: id, CreatedAt: created} }
	for name, tt := range map[string]struct {
		lists      [][]*cc.Queue
		descending bool
		n          int
		want       []string
	}{
		"newest first":                 {[][]*cc.Queue{{queue("a", late), queue("b", early)}, {queue("c", late)}}, true, 3, []string{"a", "c", "b"}},
		"oldest first":                 {[][]*cc.Queue{{queue("a", early), queue("b", late)}, {queue("c", early)}}, false, 3, []string{"a", "c", "b"}},
		"the first":                    {[][]*cc.Queue{{queue("a", late), queue("b", early)}, {queue("c", late)}}, true, 2, []string{"a", "c"}},
		"equal moments of a list":      {[][]*cc.Queue{{queue("d", late), queue("a", late)}, {queue("c", late)}}, true, 3, []string{"c", "d", "a"}},
		"without a time, newest":       {[][]*cc.Queue{{queue("a", late), queue("b", "")}, {queue("c", early)}}, true, 3, []string{"a", "c", "b"}},
		"without a time, oldest":       {[][]*cc.Queue{{queue("b", ""), queue("a", early)}, {queue("c", late), queue("d", late)}}, false, 4, []string{"b", "a", "c", "d"}},
		"several without, by their id": {[][]*cc.Queue{{queue("b", ""), queue("d", late)}, {queue("a", ""), queue("c", early)}}, false, 4, []string{"a", "b", "c", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, q := range e.Merge(tt.lists, Order{Field: CreatedAt, Descending: tt.descending}, tt.n) {
				got = append(got, q.ID)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("- want + merged:\n%s", diff)
			}
		})
	}
}
