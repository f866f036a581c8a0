package consolesim

// Dialect chooses among the forms in which consoles answer. The zero value is what was captured from a real deployment:
// camelCase keys, enums by name, undocumented extra fields, robots/{id} and workflowlayouts/{id} wrapped in a list,
// DELETE answered with 204, job executions answered with their documented body.
type Dialect struct {
	// PascalKeys prints keys as the document does: Id, CompanyId, Access_token.
	PascalKeys bool
	// EnumIntegers prints enums as their position in the document's order instead of as names.
	EnumIntegers bool
	// ConditionIntegers prints JobStateNotification.Conditions as integers (1001 ...) instead of as names.
	ConditionIntegers bool
	// WrapSingle wraps every GET of one entity as {count, list: [entity]}.
	WrapSingle bool
	// BareSingle answers every GET of one entity bare, also where a wrapped answer was captured. WrapSingle wins.
	BareSingle bool
	// EmptyExecute answers the execution of workflows and layouts with status 200 and no body.
	EmptyExecute bool
	// DeleteReturnsEntity answers DELETE with status 200 and the deleted entity.
	DeleteReturnsEntity bool
	// DeleteStatusOK answers DELETE with status 200 and no body. DeleteReturnsEntity wins.
	DeleteStatusOK bool
	// ExpiresInString prints expires_in as a numeric string.
	ExpiresInString bool
	// NoExtraFields leaves out every field that the document does not list, credentials of robots included. A package
	// then has no eTag of its own, and its update takes the one of its latest version.
	NoExtraFields bool
	// CorrectSpelling prints lastRunInstanceId where the console's wire has lastRunInstaceId.
	CorrectSpelling bool
	// EmptyRefusals answers 401 and 403 without a body, as ASP.NET does; 401 keeps its challenge.
	EmptyRefusals bool
	// ValidationMap answers 400 with ASP.NET's {"errors":{"Request":["…"]}} and a general title in place of a detail.
	ValidationMap bool
	// ProblemsAsText says text/plain of the JSON of problems.
	ProblemsAsText bool
	// ByteOrderMark puts one before every body of console and SSO.
	ByteOrderMark bool
	// GUIDs is the form in which ids are printed.
	GUIDs GUIDForm
	// SingleExecute answers an execution that starts one job with that job, rather than a list of it.
	SingleExecute bool
	// EmptyCreate answers the creation of a queue or workflow with 204. CreateReturnsID answers it with the id only;
	// EmptyCreate wins.
	EmptyCreate     bool
	CreateReturnsID bool
}

// Enums of the document, each in the document's order, which is also the order of their integers.
// They are never written to.
//
//nolint:gochecknoglobals // tables, written by nobody
var (
	companyEditions    = []string{"Enterprise", "Community"}
	argumentDirections = []string{"In", "Out", "InOut"}
	licenseStatuses    = []string{"Unlicensed", "ClientLicensed", "ServerLicensed", "PoolLicensed"}
	robotStatuses      = []string{"Disconnected", "Ready", "Busy"}
	userStatuses       = []string{"Active", "Inactive", "Banned"}
	videoRecordModes   = []string{"NeverRecord", "ReportOnlyWhenSucceeded", "ReportOnlyWhenFailed", "AlwaysRecord", "AlwaysReport"}
	triggerPolicies    = []string{"SkipWhenNoResource", "AnyTime"}
	jobStates          = []string{"Queued", "Running", "Failed", "Cancelled", "Succeeded", "Paused"}
	jobStartupTypes    = []string{"Manually", "Trigger", "TaskQueue"}
	resourceTypes      = []string{
		"Company", "Department", "CompanyUser", "Robot", "Workflow", "Queue", "RunInstance", "Dashboard", "DataQueue",
		"Asset", "App", "AppVersion", "DataConnection", "DataSource", "SamplePackage", "Package", "PackageVersion",
		"RpaLicenseBinding", "TaskQueue",
	}
	conditionNumbers = map[string]int64{"Queued": 1000, "Running": 1001, "Finished": 1002, "Failed": 1003}
)

// Names and numbers that no document knows, for Options.UnknownEnums.
const (
	unknownEnumName    = "Quiesced"
	unknownEnumInteger = 97
)
