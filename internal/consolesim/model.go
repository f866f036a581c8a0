package consolesim

import "time"

// Meta contains the fields that all entities of the console share. [Data] returns copies of
// entities; their slices and maps are shared with the simulator and must not be modified.
type Meta struct {
	ID             string            // GUID, lower case
	CompanyID      string            // GUID of the company it belongs to
	DepartmentID   string            // GUID of the department it belongs to; "" for a company
	Name           string            // what lists match with Name
	Description    string            // free text
	Tags           []string          // free labels
	Properties     map[string]string // additional attributes
	ETag           string            // changes with every change
	CreatedAt      time.Time         // decides the order of lists
	CreatedBy      string            // GUID of a user
	CreatedByName  string            // that user's name
	ModifiedAt     time.Time         // zero: never
	ModifiedBy     string            // "": never
	ModifiedByName string            // "": never
}

// Company is a tenant of the console.
type Company struct {
	Meta
	Edition          string   // Enterprise or Community
	RootDepartmentID string   // root of the department tree
	DepartmentIDs    []string // the whole tree, parents before children
}

// Department is a node of a company's department tree.
type Department struct {
	Meta
	ParentID  string   // "" for the root
	Path      string   // names from the root, joined by /
	Level     int      // 1 for the root
	UserCount int      // users assigned to it
	Refuses   bool     // its scope is answered with 403, although the tree lets the caller in
	ChildIDs  []string // direct children
}

// User is an account of the console.
type User struct {
	ID            string            // GUID of the account
	Username      string            // for the password grant
	Password      string            // made up, for demonstration only
	DisplayName   string            // printed as name
	Email         string            // made up
	CompanyIDs    []string          // companies it belongs to
	DepartmentIDs []string          // departments it may see; empty: all of its companies
	Owner         bool              // owns its companies
	Assigned      map[string]string // assigned department by company
	Memberships   map[string]string // company user id by company
}

// Argument is a parameter of a package version, a workflow or a job.
type Argument struct {
	Name         string        // its name
	Type         string        // a .NET type name
	Direction    string        // In, Out or InOut
	DefaultValue string        // an asset's GUID where Asset is set
	Asset        *AssetContent // nil: no asset
}

// AssetContent is the asset that provides an argument's value.
type AssetContent struct {
	Name                 string // its name
	Description          string // free text
	IsRequiredEncryption bool   // whether its value is kept encrypted
}

// Package is an uploaded automation with its versions.
type Package struct {
	Meta
	FullDescription string           // long form of the description
	IconURL         string           // "" for none
	TotalDownloads  int64            // of all versions
	Versions        []PackageVersion // oldest first, at least one
}

// Latest returns the package's newest version.
func (p *Package) Latest() *PackageVersion { return &p.Versions[len(p.Versions)-1] }

// PackageVersion is one uploaded file of a package.
type PackageVersion struct {
	Meta
	Version         string     // "1.2.0"
	FullDescription string     // long form of the description
	Arguments       []Argument // inputs and outputs
	TotalDownloads  int64      // times it was fetched
	UploadedAt      time.Time  // when its file arrived
	HashValue       string     // SHA-256 of its file, hexadecimal
	RunAsAdmin      bool       // needs elevated rights
}

// Queue is a set of robots.
type Queue struct {
	Meta
	RobotCount int // robots in the queue
}

// Robot runs workflows. Its status and heartbeat are functions of time: see [Data.Robot].
type Robot struct {
	Meta
	DeviceID      string    // GUID of its machine; "" if it never connected
	SDKVersion    string    // version of its runtime
	Version       string    // version of its program
	CanUpgrade    bool      // a newer version exists
	LicenseStatus string    // one of the document's four
	ClientSKU     string    // license type
	Listening     []int64   // ListeningStatus
	QueueIDs      []string  // queues it belongs to
	Status        string    // Disconnected, Ready or Busy, at the time of the call
	LastHeartbeat time.Time // at the time it was asked for

	ClientSecret     string // credential that the console leaks on the wire
	ConnectionString string // credential that the console leaks on the wire
	LicensePoolKey   string // credential that the console leaks on the wire

	pinned        string    // status set by SetRobotStatus, "" for none
	hash          uint64    // its share of randomness
	silentStatus  string    // status of a robot without heartbeats; "": it has heartbeats
	lastHeartbeat time.Time // its last heartbeat, zero for none
}

// JobStateNotification configures the notifications about a workflow's jobs.
type JobStateNotification struct {
	SwitchOn   bool     // enabled
	JustLast   bool     // only for the last run
	Conditions []string // names, or the text of whatever was sent
	Recipients []string // mail addresses
}

// Workflow is the deployment of a package version to robots.
type Workflow struct {
	Meta
	Arguments        []Argument            // values for the version's parameters
	VideoRecordMode  string                // one of the document's five
	Notification     *JobStateNotification // nil: none
	PackageID        string                // what it runs
	PackageName      string                // name of that package
	PackageVersionID string                // which version of it
	PackageVersion   string                // that version's number
	QueueID          string                // target queue; "" for none
	RobotIDs         []string              // target robots
	Priority         int64                 // 0-5000
	MaxRetryCount    int64                 // 0-10
	TriggerPolicy    string                // SkipWhenNoResource or AnyTime
	LastTriggeredAt  time.Time             // zero: never
	TriggeredCount   int64                 // executions so far
}

// Layout is an orchestration of workflows.
type Layout struct {
	Meta
	Nodes           []LayoutNode // in order of execution
	LastTriggeredAt time.Time    // zero: never
	TriggeredCount  int64        // executions so far
}

// LayoutNode is one step of a layout.
type LayoutNode struct {
	Meta
	Index      int        // position, from 0
	WorkflowID string     // what the step runs
	Arguments  []Argument // values for that workflow
}

// Job is one execution of a workflow. Its state is a function of time: see [Data.Jobs].
type Job struct {
	Meta
	WorkflowID       string     // what was executed
	PackageID        string     // package of that workflow
	PackageName      string     // its name
	PackageVersion   string     // version number that runs
	PackageVersionID string     // version that runs
	Arguments        []Argument // values of this run
	QueueID          string     // target queue
	Priority         int64      // 0-5000
	State            string     // one of the document's six, at the time it was asked for
	VideoRecordMode  string     // one of the document's five
	Message          string     // reason of a failure
	RunInstanceID    string     // GUID of its last run; "" while queued
	RobotName        string     // robot that runs it; "" while queued
	StartedAt        time.Time  // zero while queued
	FinishedAt       time.Time  // zero until it is over
	MaxRetryCount    int64      // 0-10
	ExecutionPolicy  string     // the workflow's trigger policy
	StartupType      string     // Manually, Trigger or TaskQueue
	StartupID        string     // what started it
	StartupName      string     // name of what started it
	GroupID          string     // execution it belongs to
	SeqNum           int64      // running number
	Step             string     // step of the layout, for people
	SubjectID        string     // business subject of the job
	SubjectName      string     // its name
	SubjectType      string     // its type
}
