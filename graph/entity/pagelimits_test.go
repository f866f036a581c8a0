package entity

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
)

// TestLongListWithoutCount: a list without a count whose end was not read has more entities.
func TestLongListWithoutCount(t *testing.T) {
	for _, length := range []int{maxUncounted - 1, maxUncounted, maxUncounted + 1, maxUncounted + 5} {
		p := &pager{length: length, most: 1, said: -1}
		head := p.head(t, HeadOptions[cc.QueueFilter]{Whole: true})
		if read, more := min(length, maxUncounted), length > maxUncounted; len(head.Items) != read || head.Truncated != more || (head.Total > read) != more {
			t.Errorf("%d entities: read %d of %d, truncated %v", length, len(head.Items), head.Total, head.Truncated)
		}
	}
}

// TestLimitChanges: a page is not taken for a later one because the console once served larger pages.
func TestLimitChanges(t *testing.T) {
	p := &pager{length: 250}
	known := gateway()
	p.window(t, known, 0, 150)
	p.most = 100
	if diff := cmp.Diff(p.want(150, 150), p.window(t, known, 150, 150)); diff != "" {
		t.Errorf("- want, + got\n%s", diff)
	}
}
