package consoleclient

import (
	"io"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/consoleql/consoleql/internal/fault"
)

// The enums of the document. Value 0 stands for an unknown value. The others follow the document's order, so the
// console's integers are one less. The console's values are accepted by name in any case, by integer and by numeric
// text. They are sent by their documented name.
type (
	// CompanyEdition is the edition of a company's licence (document, section Companies).
	CompanyEdition uint8
	// ArgumentDirection is the direction of an argument (document, section Packages).
	ArgumentDirection uint8
	// LicenseStatus is the source of a robot's licence (document, section Robots).
	LicenseStatus uint8
	// RobotStatus is the activity of a robot (document, section Robots).
	RobotStatus uint8
	// UserStatus is the state of a user's account (document, section Users).
	UserStatus uint8
	// ResourceType is the kind of a resource (document, section Users).
	ResourceType uint8
	// VideoRecordMode selects when a job's video is recorded and reported (document, section Workflows).
	VideoRecordMode uint8
	// TriggerPolicy selects what happens if no robot is free (document, section Workflows).
	TriggerPolicy uint8
	// JobState is the state of a job (document, section Workflows: execute).
	JobState uint8
	// JobStartupType is what started a job. Its values come from the vendor's samples.
	JobStartupType uint8
)

// Editions of a company.
const (
	CompanyEditionUnknown CompanyEdition = iota
	CompanyEditionEnterprise
	CompanyEditionCommunity
)

// Directions of an argument.
const (
	ArgumentDirectionUnknown ArgumentDirection = iota
	ArgumentDirectionIn
	ArgumentDirectionOut
	ArgumentDirectionInOut
)

// Licences of a robot.
const (
	LicenseStatusUnknown LicenseStatus = iota
	LicenseStatusUnlicensed
	LicenseStatusClientLicensed
	LicenseStatusServerLicensed
	LicenseStatusPoolLicensed
)

// States of a robot.
const (
	RobotStatusUnknown RobotStatus = iota
	RobotStatusDisconnected
	RobotStatusReady
	RobotStatusBusy
)

// States of a user.
const (
	UserStatusUnknown UserStatus = iota
	UserStatusActive
	UserStatusInactive
	UserStatusBanned
)

// Kinds of resources.
const (
	ResourceTypeUnknown ResourceType = iota
	ResourceTypeCompany
	ResourceTypeDepartment
	ResourceTypeCompanyUser
	ResourceTypeRobot
	ResourceTypeWorkflow
	ResourceTypeQueue
	ResourceTypeRunInstance
	ResourceTypeDashboard
	ResourceTypeDataQueue
	ResourceTypeAsset
	ResourceTypeApp
	ResourceTypeAppVersion
	ResourceTypeDataConnection
	ResourceTypeDataSource
	ResourceTypeSamplePackage
	ResourceTypePackage
	ResourceTypePackageVersion
	ResourceTypeRpaLicenseBinding
	ResourceTypeTaskQueue
)

// Recording modes of a job.
const (
	VideoRecordModeUnknown VideoRecordMode = iota
	VideoRecordModeNeverRecord
	VideoRecordModeReportOnlyWhenSucceeded
	VideoRecordModeReportOnlyWhenFailed
	VideoRecordModeAlwaysRecord
	VideoRecordModeAlwaysReport
)

// Policies for the case that no robot is free.
const (
	TriggerPolicyUnknown TriggerPolicy = iota
	TriggerPolicySkipWhenNoResource
	TriggerPolicyAnyTime
)

// States of a job.
const (
	JobStateUnknown JobState = iota
	JobStateQueued
	JobStateRunning
	JobStateFailed
	JobStateCancelled
	JobStateSucceeded
	JobStatePaused
)

// Origins of a job.
const (
	JobStartupTypeUnknown JobStartupType = iota
	JobStartupTypeManually
	JobStartupTypeTrigger
	JobStartupTypeTaskQueue
)

// The documented names, in the document's order. The tables are read-only.
//
//nolint:gochecknoglobals // Go has no constant tables
var (
	companyEditions    = newEnum("CompanyEdition", "Enterprise", "Community")
	argumentDirections = newEnum("ArgumentDirection", "In", "Out", "InOut")
	licenseStatuses    = newEnum("LicenseStatus", "Unlicensed", "ClientLicensed", "ServerLicensed", "PoolLicensed")
	robotStatuses      = newEnum("RobotStatus", "Disconnected", "Ready", "Busy")
	userStatuses       = newEnum("UserStatus", "Active", "Inactive", "Banned")
	resourceTypes      = newEnum("ResourceType", "Company", "Department", "CompanyUser", "Robot", "Workflow", "Queue",
		"RunInstance", "Dashboard", "DataQueue", "Asset", "App", "AppVersion", "DataConnection", "DataSource",
		"SamplePackage", "Package", "PackageVersion", "RpaLicenseBinding", "TaskQueue")
	videoRecordModes = newEnum("VideoRecordMode", "NeverRecord", "ReportOnlyWhenSucceeded", "ReportOnlyWhenFailed",
		"AlwaysRecord", "AlwaysReport")
	triggerPolicies = newEnum("TriggerPolicy", "SkipWhenNoResource", "AnyTime")
	jobStates       = newEnum("JobState", "Queued", "Running", "Failed", "Cancelled", "Succeeded", "Paused")
	jobStartupTypes = newEnum("JobStartupType", "Manually", "Trigger", "TaskQueue")
)

// enum holds the names of one enum type for the generic functions below.
type enum struct {
	typeName string
	names    []string         // by value; "" for 0
	gql      []string         // by value, quoted; "UNKNOWN" for 0
	exact    map[string]uint8 // by documented name
	byName   map[string]uint8 // by lower-case documented name
	byGQL    map[string]uint8 // by GraphQL name, without UNKNOWN
}

func newEnum(typeName string, names ...string) *enum {
	e := &enum{
		typeName: typeName,
		names:    append([]string{""}, names...),
		gql:      []string{`"UNKNOWN"`},
		exact:    make(map[string]uint8, len(names)),
		byName:   make(map[string]uint8, len(names)),
		byGQL:    make(map[string]uint8, len(names)),
	}
	for i, name := range names {
		snake := screamingSnake(name)
		e.gql = append(e.gql, `"`+snake+`"`)
		e.exact[name] = uint8(i + 1)
		e.byName[strings.ToLower(name)] = uint8(i + 1)
		e.byGQL[snake] = uint8(i + 1)
	}
	return e
}

// screamingSnake turns NeverRecord into NEVER_RECORD.
func screamingSnake(s string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String()
}

// text returns the documented name of a value, empty for the unknown value.
func text[E ~uint8](e *enum, v E) ([]byte, error) {
	if int(v) >= len(e.names) {
		return nil, nil
	}
	return []byte(e.names[v]), nil
}

// decodeEnum reads a name or an integer. Everything else becomes the unknown value without an error.
func decodeEnum[E ~uint8](e *enum, v *E, dec *jsontext.Decoder) error {
	s, kind, err := readText(dec)
	if err != nil {
		return err
	}
	*v = E(e.value([]byte(s), kind))
	return nil
}

// writeGQL writes a value's GraphQL name, quoted.
func writeGQL[E ~uint8](e *enum, v E, w io.Writer) {
	if int(v) >= len(e.gql) {
		v = 0
	}
	_, _ = io.WriteString(w, e.gql[v]) // gqlgen's writers do not fail
}

// readGQL reads a GraphQL name. UNKNOWN is not a valid input.
func readGQL[E ~uint8](e *enum, v *E, input any) error {
	s, ok := input.(string)
	known, isName := e.byGQL[s]
	if !ok || !isName {
		return fault.BadInput("", "is not a valid %s", e.typeName)
	}
	*v = E(known)
	return nil
}
