package e2e

const (
	JoinQuery = `{ workflows(first: 50) { nodes { id name package { name lastVersion } queue { name } version { version } robots { name status } } } }`
	TreeQuery = `{ companies { name departments { name workflows(first: 5) { nodes { name queue { name } robots { name } } } } } }`
)

// The console's operations, named as in its document.
const (
	Companies      = "GET /openapi/companies/companylist"
	Tree           = "GET /openapi/departments/tree"
	Self           = "GET /openapi/companyusers/self"
	Packages       = "GET /openapi/packages"
	Pkg            = "GET /openapi/packages/{packageId}"
	Queues         = "GET /openapi/queues"
	Queue          = "GET /openapi/queues/{queueId}"
	Robots         = "GET /openapi/robots"
	Robot          = "GET /openapi/robots/{robotId}"
	Workflows      = "GET /openapi/workflows"
	Workflow       = "GET /openapi/workflows/{workflowId}"
	WorkflowRobots = "GET /openapi/workflows/{workflowId}/robots"
	Layouts        = "GET /openapi/workflowlayouts"
)

type Counts = map[string]int
