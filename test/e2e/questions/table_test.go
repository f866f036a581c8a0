package questions

import (
	"slices"

	"github.com/consoleql/consoleql/internal/consolesim"
	"github.com/consoleql/consoleql/test/e2e"
)

// facts are what the calculation of calls reads from the console's data.
type facts struct {
	*consolesim.Data

	companies, departments int
	ids, robotIDs          bool // the console takes `Ids`, and sends the ids of a workflow's robots
}

func newFacts(w *e2e.World, ids, robotIDs bool) facts {
	f := facts{Data: w.Sim.Data(), ids: ids, robotIDs: robotIDs}
	for _, c := range f.Companies() {
		f.companies++
		f.departments += len(f.Departments(c.ID))
	}
	return f
}

// filled counts the queues of a department that have robots.
func (f facts) filled(dept string) int {
	queues := map[string]struct{}{}
	for _, id := range f.RobotIDs(dept) {
		v, _ := f.Robot(id)
		for _, q := range v.QueueIDs {
			queues[q] = struct{}{}
		}
	}
	return len(queues)
}

// everywhere adds up a number for all departments that answer.
func (f facts) everywhere(n func(dept string) int) (sum int) {
	for _, c := range f.Companies() {
		for _, d := range f.Departments(c.ID) {
			if !d.Refuses {
				sum += n(d.ID)
			}
		}
	}
	return sum
}

// deleted counts the workflows that layouts of a department refer to and that do not exist.
func (f facts) deleted(dept string) int {
	gone := map[string]struct{}{}
	for _, id := range f.LayoutIDs(dept) {
		layout, _ := f.Layout(id)
		for _, n := range layout.Nodes {
			if _, ok := f.Workflow(n.WorkflowID); !ok {
				gone[n.WorkflowID] = struct{}{}
			}
		}
	}
	return len(gone)
}

// question is what people ask of a dashboard.
type question struct {
	title, query string
	note         string // what the answer tells, and what it costs
	// calls is the least number of console calls with empty caches. Page sizes and the lengths of lists are known, and
	// every list fits a page. rounds is the length of the longest chain of calls that need each other's answers.
	calls  func(f facts) int
	rounds func(f facts) int
}

// fixed returns a number that depends on nothing.
func fixed(n int) func(facts) int { return func(facts) int { return n } }

// perDepartment returns the calls of lists of all departments, with the companies and their trees.
func perDepartment(lists int) func(facts) int {
	return func(f facts) int { return 1 + f.companies + lists*f.departments }
}

// questions returns the questions. $workflow, $queue, $robot, $package and $department are ids of the data.
func questions() []question {
	return []question{
		{
			title: "Which robots are down, in each department?",
			query: `{
  companies {
    name
    departments {
      name
      robotCounts { total byStatus { status count } }
    }
  }
}`,
			note:  "A department that refuses is `null` with an error. Add `silent(seconds: 600)` for robots whose heartbeat is late.",
			calls: perDepartment(1), rounds: fixed(3),
		},
		{
			title: "Which workflows run an outdated version?",
			query: `{
  companies {
    name
    workflows(filter: {outdated: true}, first: 500) {
      totalCount
      nodes { name packageName packageVersion latestVersion department { name } }
      unavailable { department { name } code }
    }
  }
}`,
			note: "The packages of workflows are one list call per department, whether the console takes `Ids` or not.",
			calls: func(f facts) int {
				return perDepartment(1)(f) + f.everywhere(func(dept string) int { return min(1, len(f.WorkflowIDs(dept))) })
			},
			rounds: fixed(4),
		},
		{
			title: "Which robots and workflows does each queue have?",
			query: `{
  queues(first: 50) {
    nodes {
      name
      robots(first: 100) { totalCount nodes { name status } }
      workflows(first: 100) { totalCount nodes { name } }
    }
  }
}`,
			note:   "The console lists robots by queue only. Workflows come from one list of the department.",
			calls:  func(f facts) int { return 2 + len(f.QueueIDs(f.MainDepartmentID())) },
			rounds: fixed(2),
		},
		{
			title: "What was triggered last, in the whole company?",
			query: `{
  companies {
    name
    workflows(orderBy: {field: LAST_TRIGGERED_AT, direction: DESC}, first: 10) {
      nodes { name lastTriggeredAt department { name } }
    }
  }
}`,
			note:  "The console orders by creation time only, so each department's list is read.",
			calls: perDepartment(1), rounds: fixed(3),
		},
		{
			title: "Who changed what last?",
			query: `{
  companies {
    workflows(orderBy: {field: MODIFIED_AT, direction: DESC}, first: 5) { nodes { name modifiedAt modifiedByName } }
    packages(orderBy: {field: MODIFIED_AT, direction: DESC}, first: 5) { nodes { name modifiedAt modifiedByName } }
    queues(orderBy: {field: MODIFIED_AT, direction: DESC}, first: 5) { nodes { name modifiedAt modifiedByName } }
  }
}`,
			note:  "The console tells the last change of each entity, and no history.",
			calls: perDepartment(3), rounds: fixed(3),
		},
		{
			title: "Start a workflow once, and show its jobs and robots",
			query: `mutation {
  executeWorkflow(input: {id: "$workflow", idempotencyKey: "2026-11-29 invoices"}) {
    jobs { name state }
    workflow { name robots { name status } queue { name } }
  }
}`,
			note: "The same key with the same input starts nothing again within 24 hours. The call that starts jobs is never repeated.",
			calls: func(f facts) int {
				return 4 // the start; the workflow; its robots; its queue
			},
			rounds: fixed(3),
		},
		{
			title: "Which packages does no workflow run?",
			query: `{
  packages(filter: {unused: true}, first: 500) {
    totalCount
    nodes { name lastVersion }
  }
}`,
			note:  "The lists of packages and workflows are read at the same time.",
			calls: fixed(2), rounds: fixed(1),
		},
		{
			title: "Which robots are in no queue, in the whole company?",
			query: `{
  companies {
    name
    robots(filter: {withoutQueue: true}, first: 500) {
      totalCount
      nodes { name department { name } }
    }
  }
}`,
			note:   "The console tells the robots of a queue and not the queues of a robot: one call per queue that has robots.",
			calls:  func(f facts) int { return perDepartment(2)(f) + f.everywhere(f.filled) },
			rounds: fixed(4),
		},
		{
			title: "Which layouts refer to deleted workflows?",
			query: `{
  workflowLayouts(first: 500) {
    nodes {
      name
      nodes { workflowId workflow { name } }
    }
  }
}`,
			note: "A deleted workflow is `null` without an error beside its `workflowId`. Without `Ids`, each is asked for by its id: a kept list of workflows may be older than the reference.",
			calls: func(f facts) int {
				if f.ids {
					return 2
				}
				return 2 + f.deleted(f.MainDepartmentID())
			},
			rounds: func(f facts) int {
				if f.ids {
					return 2
				}
				return 3
			},
		},
		{
			title: "An overview of all companies",
			query: `{
  companies {
    name
    departments {
      name
      robotCounts { total byStatus { status count } }
      workflowCounts { total outdated }
      packageCounts { total unused }
      queueCounts { total empty }
    }
  }
}`,
			note:  "Each list is read once, whatever counts it serves.",
			calls: perDepartment(4), rounds: fixed(3),
		},
		{
			title: "One workflow with all that belongs to it",
			query: `{
  workflow(id: "$workflow") {
    name
    outdated
    package { name lastVersion }
    version { version uploadTime }
    queue { name }
    robots { name status lastHeartbeatTime }
    layouts { name }
  }
}`,
			note:  "Layouts lead to workflows and not back: the department's list of layouts is read.",
			calls: fixed(5), rounds: fixed(2),
		},
		{
			title: "A page of a table",
			query: `{
  workflows(first: 20, offset: 20) {
    totalCount
    pageInfo { hasNextPage }
    nodes { name packageName packageVersion queue { name } robots { name status } }
  }
}`,
			note: "`packageName` and `packageVersion` come with the workflow; `package { name }` would be one more call.",
			calls: func(f facts) int {
				if f.robotIDs {
					return 3
				}
				return 2 + 20 // the robots of each workflow
			},
			rounds: fixed(2),
		},
		{
			title: "Search by name",
			query: `{
  workflows(filter: {searchString: "a"}, first: 10) { totalCount nodes { name } }
  packages(filter: {searchString: "a"}, first: 10) { totalCount nodes { name } }
  queues(filter: {searchString: "a"}, first: 10) { totalCount nodes { name } }
}`,
			note:  "The console searches.",
			calls: fixed(3), rounds: fixed(1),
		},
		{
			title: "A department and those below it",
			query: `{
  department(id: "$department") {
    name
    parent { name }
    children { name }
    robotCounts(subtree: true) { total }
  }
}`,
			note:   "`total` alone costs a page of one entity per department.",
			calls:  func(f facts) int { return 1 + len(f.below(f.MainDepartmentID())) },
			rounds: fixed(2),
		},
		{
			title:  "Who am I, and where?",
			query:  `{ viewer { name assignedDepartment { name } } companies { name } }`,
			note:   "",
			calls:  fixed(3),
			rounds: fixed(2),
		},
		{
			title: "Which version is deployed how often?",
			query: `{
  package(id: "$package") {
    name
    versions { version workflows { totalCount } }
  }
}`,
			note: "The workflows of versions come from one list of the department, if there are several versions.",
			calls: func(f facts) int {
				return 2
			},
			rounds: fixed(2),
		},
		{
			title: "Which robots of a queue are busy?",
			query: `{
  queue(id: "$queue") {
    name
    robotCounts { total byStatus { status count } }
    robots(filter: {status: [BUSY]}, first: 100) { nodes { name currentDeviceId } }
  }
}`,
			note:  "Counts and list come from the same call.",
			calls: fixed(2), rounds: fixed(2),
		},
		{
			title: "Which robots are silent, in the whole company?",
			query: `{
  companies {
    name
    robots(filter: {silentFor: 86400}, orderBy: {field: LAST_HEARTBEAT_TIME}, first: 500) {
      totalCount
      nodes { name status department { name } }
    }
  }
}`,
			note:  "By the clock of the console. Robots that never had a heartbeat come last.",
			calls: perDepartment(1), rounds: fixed(3),
		},
		{
			title: "What does a robot run?",
			query: `{
  robot(id: "$robot") {
    name
    queues { name }
    workflows { name }
  }
}`,
			note: "",
			calls: func(f facts) int {
				dept := f.MainDepartmentID()
				n := 3 + f.filled(dept) // the robot, queues and workflows; the robots of each queue
				if !f.robotIDs {
					n += len(f.WorkflowIDs(dept))
				}
				return n
			},
			rounds: fixed(3),
		},
		{
			title: "What do the newest packages bring?",
			query: `{
  packages(first: 5) {
    nodes {
      name
      lastVersion
      versions { version uploadTime }
      workflows(first: 3) { totalCount nodes { name } }
    }
  }
}`,
			note:  "The list of packages brings their versions.",
			calls: fixed(2), rounds: fixed(2),
		},
	}
}

// below returns a department with those below it that answer.
func (f facts) below(id string) []string {
	all := []string{id}
	for _, c := range f.Companies() {
		for _, d := range f.Departments(c.ID) {
			if slices.Contains(all, d.ParentID) {
				all = append(all, d.ID)
			}
		}
	}
	return all
}
