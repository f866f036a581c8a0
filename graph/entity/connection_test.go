package entity

import (
	"errors"
	"fmt"
	"testing"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
	"github.com/consoleql/consoleql/internal/scope"
)

func TestCursorsEncodePositions(t *testing.T) {
	for _, p := range []int{0, 1, 19, 500, maxOffset - 1} {
		if got, ok := positionOf(cursorAt(p)); !ok || got != p {
			t.Errorf("position %d comes back as %d, %v", p, got, ok)
		}
	}
	for _, cursor := range []string{"", "0", "cG9zaXRpb246", "cG9zaXRpb246LTE", "cG9zaXRpb246MQ==", "é", cursorAt(maxOffset), cursorAt(-1)} {
		if p, ok := positionOf(cursor); ok {
			t.Errorf("%q is taken for position %d", cursor, p)
		}
	}
}

func ptr[T any](v T) *T { return &v }

func TestArgumentWindow(t *testing.T) {
	type args = ListArgs[cc.QueueFilter]
	for name, tt := range map[string]struct {
		args          args
		offset, count int
		ascending     bool
		bad           string // the argument at fault
	}{
		"none":              {args{}, 0, defaultFirst, false, ""},
		"zero":              {args{First: ptr(0)}, 0, 0, false, ""},
		"most":              {args{First: ptr(maxFirst), Offset: ptr(3)}, 3, maxFirst, false, ""},
		"after":             {args{After: ptr(cursorAt(6)), Order: ptr(SortOrderAsc)}, 7, defaultFirst, true, ""},
		"too many":          {args{First: ptr(maxFirst + 1)}, 0, 0, false, "first"},
		"negative":          {args{First: ptr(-1)}, 0, 0, false, "first"},
		"negative offset":   {args{Offset: ptr(-1)}, 0, 0, false, "offset"},
		"far offset":        {args{Offset: ptr(maxOffset + 1)}, 0, 0, false, "offset"},
		"both":              {args{Offset: ptr(0), After: ptr(cursorAt(0))}, 0, 0, false, "offset"},
		"empty cursor":      {args{After: ptr("")}, 0, 0, false, "after"},
		"control character": {args{Filter: &cc.QueueFilter{Name: "a\tb"}}, 0, 0, false, "filter.name"},
		"line separator":    {args{Filter: &cc.QueueFilter{SearchString: "a\nb"}}, 0, 0, false, "filter.searchString"},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := tt.args.window(scope.Scope{})
			if tt.bad != "" {
				var f *fault.Error
				if !errors.As(err, &f) || f.Code != fault.BadUserInput || f.Argument != tt.bad {
					t.Errorf("error %v, want one about %s", err, tt.bad)
				}
				return
			}
			if err != nil || w.offset != tt.offset || w.count != tt.count || w.ascending != tt.ascending {
				t.Errorf("window %+v, %v", w, err)
			}
		})
	}
}

func TestPageInfoOfRanges(t *testing.T) {
	for _, tt := range []struct {
		offset, length, total int
		previous, next        bool
	}{
		{0, 0, 0, false, false}, {0, 20, 20, false, false}, {0, 20, 21, false, true}, {5, 5, 20, true, true}, {15, 5, 20, true, false}, {30, 0, 20, true, false}, {0, 0, 20, false, true},
	} {
		t.Run(fmt.Sprint(tt), func(t *testing.T) {
			c := &Connection[cc.Queue]{TotalCount: tt.total, offset: tt.offset, length: tt.length}
			info := c.PageInfo()
			if info.HasPreviousPage != tt.previous || info.HasNextPage != tt.next {
				t.Errorf("%+v", info)
			}
			if (info.StartCursor == nil) != (tt.length == 0) || (info.EndCursor == nil) != (tt.length == 0) {
				t.Errorf("%+v", info)
			}
			if tt.length > 0 && (*info.StartCursor != cursorAt(tt.offset) || *info.EndCursor != cursorAt(tt.offset+tt.length-1)) {
				t.Errorf("cursors %s and %s", *info.StartCursor, *info.EndCursor)
			}
		})
	}
}

// TestCursorsUsePositions verifies that cursors are positions in the list, where the console left one empty.
func TestCursorsUsePositions(t *testing.T) {
	c := &Connection[cc.Queue]{Nodes: []*cc.Queue{{ID: "a"}, {ID: "c"}}, positions: []int{5, 7}, offset: 5, length: 4, TotalCount: 20}
	if edges := c.Edges(); edges[0].Cursor != cursorAt(5) || edges[1].Cursor != cursorAt(7) {
		t.Errorf("%+v %+v", *edges[0], *edges[1])
	}
	if info := c.PageInfo(); *info.EndCursor != cursorAt(8) || !info.HasNextPage {
		t.Errorf("%+v", info)
	}
}
