package consoleclient

import (
	"io"

	"github.com/go-json-experiment/json/jsontext"
)

// The text forms of the enums: on the wire MarshalText and UnmarshalJSONFrom, in GraphQL MarshalGQL and UnmarshalGQL.

// MarshalText gives the documented name, empty for an unknown value.
func (v CompanyEdition) MarshalText() ([]byte, error) { return text(companyEditions, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes CompanyEditionUnknown.
func (v *CompanyEdition) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(companyEditions, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v CompanyEdition) MarshalGQL(w io.Writer) { writeGQL(companyEditions, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *CompanyEdition) UnmarshalGQL(input any) error { return readGQL(companyEditions, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v ArgumentDirection) MarshalText() ([]byte, error) { return text(argumentDirections, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes ArgumentDirectionUnknown.
func (v *ArgumentDirection) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(argumentDirections, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v ArgumentDirection) MarshalGQL(w io.Writer) { writeGQL(argumentDirections, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *ArgumentDirection) UnmarshalGQL(input any) error {
	return readGQL(argumentDirections, v, input)
}

// MarshalText gives the documented name, empty for an unknown value.
func (v LicenseStatus) MarshalText() ([]byte, error) { return text(licenseStatuses, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes LicenseStatusUnknown.
func (v *LicenseStatus) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(licenseStatuses, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v LicenseStatus) MarshalGQL(w io.Writer) { writeGQL(licenseStatuses, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *LicenseStatus) UnmarshalGQL(input any) error { return readGQL(licenseStatuses, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v RobotStatus) MarshalText() ([]byte, error) { return text(robotStatuses, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes RobotStatusUnknown.
func (v *RobotStatus) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(robotStatuses, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v RobotStatus) MarshalGQL(w io.Writer) { writeGQL(robotStatuses, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *RobotStatus) UnmarshalGQL(input any) error { return readGQL(robotStatuses, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v UserStatus) MarshalText() ([]byte, error) { return text(userStatuses, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes UserStatusUnknown.
func (v *UserStatus) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(userStatuses, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v UserStatus) MarshalGQL(w io.Writer) { writeGQL(userStatuses, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *UserStatus) UnmarshalGQL(input any) error { return readGQL(userStatuses, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v ResourceType) MarshalText() ([]byte, error) { return text(resourceTypes, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes ResourceTypeUnknown.
func (v *ResourceType) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(resourceTypes, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v ResourceType) MarshalGQL(w io.Writer) { writeGQL(resourceTypes, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *ResourceType) UnmarshalGQL(input any) error { return readGQL(resourceTypes, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v VideoRecordMode) MarshalText() ([]byte, error) { return text(videoRecordModes, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes VideoRecordModeUnknown.
func (v *VideoRecordMode) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(videoRecordModes, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v VideoRecordMode) MarshalGQL(w io.Writer) { writeGQL(videoRecordModes, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *VideoRecordMode) UnmarshalGQL(input any) error { return readGQL(videoRecordModes, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v TriggerPolicy) MarshalText() ([]byte, error) { return text(triggerPolicies, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes TriggerPolicyUnknown.
func (v *TriggerPolicy) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(triggerPolicies, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v TriggerPolicy) MarshalGQL(w io.Writer) { writeGQL(triggerPolicies, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *TriggerPolicy) UnmarshalGQL(input any) error { return readGQL(triggerPolicies, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v JobState) MarshalText() ([]byte, error) { return text(jobStates, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes JobStateUnknown.
func (v *JobState) UnmarshalJSONFrom(d *jsontext.Decoder) error { return decodeEnum(jobStates, v, d) }

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v JobState) MarshalGQL(w io.Writer) { writeGQL(jobStates, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *JobState) UnmarshalGQL(input any) error { return readGQL(jobStates, v, input) }

// MarshalText gives the documented name, empty for an unknown value.
func (v JobStartupType) MarshalText() ([]byte, error) { return text(jobStartupTypes, v) }

// UnmarshalJSONFrom accepts names and integers; what is not known becomes JobStartupTypeUnknown.
func (v *JobStartupType) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	return decodeEnum(jobStartupTypes, v, d)
}

// MarshalGQL writes the name in SCREAMING_SNAKE_CASE.
func (v JobStartupType) MarshalGQL(w io.Writer) { writeGQL(jobStartupTypes, v, w) }

// UnmarshalGQL fails with fault.BadUserInput for UNKNOWN and for what is no value.
func (v *JobStartupType) UnmarshalGQL(input any) error { return readGQL(jobStartupTypes, v, input) }
