package consolesim

// Dialect selects the form of answers, which differs between deployments. The zero value is
// the form captured from a real deployment:
// - camelCase keys, enums by name, and undocumented extra fields
// - robots/{id} and workflowlayouts/{id} wrapped in a list
// - DELETE answered with 204
// - job executions answered with their documented body
type Dialect struct {
	// PascalKeys prints keys as the document does: Id, CompanyId, Access_token.
	PascalKeys bool
	// EnumIntegers prints enums as their position in the document's order instead of as names.
	EnumIntegers bool
	// ConditionIntegers prints JobStateNotification.Conditions as integers (1001 ...) instead of as names.
	ConditionIntegers bool
	// WrapSingle wraps every GET of one entity as {count, list: [entity]}.
	WrapSingle bool
	// BareSingle answers every GET of one entity without a wrapper, also where a wrapped
	// answer was captured. WrapSingle wins.
	BareSingle bool
	// EmptyExecute answers the execution of workflows and layouts with status 200 and no body.
	EmptyExecute bool
	// DeleteReturnsEntity answers DELETE with status 200 and the deleted entity.
	DeleteReturnsEntity bool
	// DeleteStatusOK answers DELETE with status 200 and no body. DeleteReturnsEntity wins.
	DeleteStatusOK bool
	// ExpiresInString prints expires_in as a numeric string.
	ExpiresInString bool
	// NoExtraFields omits every field that the document does not list, including the
	// credentials of robots. A package has no eTag of its own then, and its update takes the
	// one of its latest version.
	NoExtraFields bool
	// CorrectSpelling prints lastRunInstanceId instead of the console's lastRunInstaceId.
	CorrectSpelling bool
	// EmptyRefusals answers 401 and 403 without a body, like ASP.NET; 401 keeps its challenge.
	EmptyRefusals bool
	// ValidationMap answers 400 with ASP.NET's {"errors":{"Request":["…"]}} and a general
	// title, without a detail.
	ValidationMap bool
	// ProblemsAsText sends the JSON of problems as text/plain.
	ProblemsAsText bool
	// ByteOrderMark adds a byte order mark to every body of console and SSO.
	ByteOrderMark bool
	// GUIDs is the form of printed ids.
	GUIDs GUIDForm
	// SingleExecute answers an execution that starts one job with that job instead of a list.
	SingleExecute bool
	// EmptyCreate answers the creation of a queue or workflow with 204, and CreateReturnsID
	// with the id only. EmptyCreate wins.
	EmptyCreate     bool
	CreateReturnsID bool
}

// Enums of the document, each in the document's order, which is the order of their integers.
// They are constant.
//
//nolint:gochecknoglobals // constant tables
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

// Names and numbers that are not in the document, for Options.UnknownEnums.
const (
	unknownEnumName    = "Quiesced"
	unknownEnumInteger = 97
)
