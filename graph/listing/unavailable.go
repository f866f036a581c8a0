package listing

import (
	"strings"

	cc "github.com/consoleql/consoleql/internal/consoleclient"
	"github.com/consoleql/consoleql/internal/fault"
)

// UnavailableDepartment is a department whose part of a list or of a count is missing.
type UnavailableDepartment struct {
	Department *cc.Department
	// Code is why: FORBIDDEN, NOT_FOUND or one of UPSTREAM.
	Code string
}

// Unavailable returns the department that is missing because of err.
func Unavailable(d *cc.Department, err error) *UnavailableDepartment {
	return &UnavailableDepartment{Department: d, Code: string(fault.CodeOf(err))}
}

// IsUnavailable reports whether an error concerns one department, and not the operation.
func IsUnavailable(err error) bool {
	code := fault.CodeOf(err)
	return code == fault.Forbidden || code == fault.NotFound || strings.HasPrefix(string(code), "UPSTREAM_")
}
