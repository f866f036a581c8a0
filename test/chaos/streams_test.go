package chaos

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/consoleql/consoleql/test/e2e"
)

const watchQuery = `subscription { robotChanged { id status } }`

// A stream stands under a fault until so many of its polls met it, or for so long.
const (
	pollsUnderFault = 3
	longestFault    = 2 * time.Second
)

// streamed is what a stream sent: an event, maybe with an error, or its end.
type streamed struct {
	body string
	code string // of the error
	end  bool
}

// lost is the code of a stream that ended without a word.
const lost = "lost"

func (w *world) socket() cell {
	s := w.Socket(nil)
	s.Subscribe("1", watchQuery)
	return w.follow(func() streamed {
		m, err := s.Read()
		if err != nil {
			return streamed{code: lost, end: true}
		}
		if m.Type == "next" {
			return streamedNext(string(m.Payload))
		}
		var errs []e2e.GraphError
		_ = json.Unmarshal(m.Payload, &errs) // complete has no payload
		return streamed{code: codeOf(errs), end: true}
	})
}

func (w *world) events() cell {
	e := w.Events("POST", watchQuery, nil)
	return w.follow(func() streamed {
		event, ok := e.Next()
		if !ok {
			return streamed{code: lost, end: true}
		}
		if event.Name != "next" {
			return streamed{end: true}
		}
		return streamedNext(event.Data)
	})
}

// streamedNext reads an event.
func streamedNext(body string) streamed {
	var a e2e.Answer
	_ = json.Unmarshal([]byte(body), &a) // a foreign body has no errors
	return streamed{body: body, code: codeOf(a.Errors)}
}

// codeOf returns the code of the first error; empty: there is none.
func codeOf(errs []e2e.GraphError) string {
	if len(errs) == 0 {
		return ""
	}
	return errs[0].Extensions.Code
}

// follow lets a subscription live through the fault. It must tell of a change afterwards.
func (w *world) follow(next func() streamed) cell {
	robot := w.Sim.Data().RobotIDs(w.Sim.Data().MainDepartmentID())[0]
	w.Sim.SetRobotStatus(robot, "Ready")
	w.AwaitPolls(2)
	sent := make(chan streamed, 1)
	go func() {
		last := ""
		for {
			s := next()
			if s.end || strings.Contains(s.body, `"BUSY"`) {
				if s.code == "" && s.end {
					s.code = last // complete follows the error
				}
				sent <- s
				return
			}
			last = s.code
		}
	}()
	w.start()
	result := w.awaitEnd(sent)
	w.heal()
	w.Sim.SetRobotStatus(robot, "Busy")
	if result == nil {
		s := <-sent
		result = &s
	}
	return cell{ended: result.end, lost: result.code == lost, code: strings.TrimPrefix(result.code, lost)}
}

// awaitEnd waits until the stream ends. One that must not end is given some polls under the fault, or some time.
func (w *world) awaitEnd(sent <-chan streamed) *streamed {
	longest := longestFault
	if w.ends {
		longest = longTimeout
	}
	for deadline := time.Now().Add(longest); (w.ends || w.faultedRequests() < pollsUnderFault) && time.Now().Before(deadline); {
		select {
		case s := <-sent:
			return &s
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}
